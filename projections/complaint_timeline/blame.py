"""What somebody who is held responsible for a complaint is told about it, so that they can appeal (C-40).

Nothing about the customer, nothing that anybody wrote.
"""

from projections.projection import Document

SHOWN = ("complaint_id", "site", "subject", "status", "ended", "blamed_at")
IF_KNOWN = ("severities", "blamed_for", "appeal")


def blame(complaint: Document) -> Document:
    """`late` are the steps whose deadlines passed; `may_appeal` says whether an appeal is still possible."""
    known = {name: complaint[name] for name in IF_KNOWN if complaint.get(name)}
    late = {each["step"] for each in complaint["deadlines"].values() if each["outcome"] == "breached"}
    return {
        **{name: complaint.get(name) for name in SHOWN},
        **known,
        "late": sorted(late),
        "may_appeal": not complaint["ended"] and "appeal" not in known and "customer" in complaint,
    }
