"""The welcome board at the entrance: who is expected, as much of it as each of them chose (R-16)."""

from projections.projection import Document

SURNAMES_OF_TWO = frozenset(
    ("欧阳", "司马", "上官", "诸葛", "东方", "皇甫", "尉迟", "公孙", "慕容", "司徒", "令狐", "夏侯")
)


def surname(name: str) -> str:
    """Of a Chinese name its first character, or two; of another its last word."""
    name = name.strip()
    if name[:2] in SURNAMES_OF_TWO:
        return name[:2]
    return name.split()[-1] if name.isascii() and name else name[:1]


def greeting(appointment: Document, name: str | None, plate: str | None) -> Document | None:
    """What the board shows of an appointment; None of who chose nothing, or was forgotten."""
    shown: Document = {}
    match appointment["welcome"]:
        case "full":
            shown = {"name": name, "plate": plate}
        case "surname" if name:
            shown = {"surname": surname(name)}
        case "plate":
            shown = {"plate": plate}
    known = {what: text for what, text in shown.items() if text}
    return {"slot_at": appointment["slot_at"], "state": appointment["state"], **known} if known else None
