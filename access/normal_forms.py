"""One spelling for each phone, plate and name, so that a blind index finds it however it was typed."""

import unicodedata


def normal_form(kind: str, value: str) -> str:
    """Empty for a value that identifies nobody."""
    match kind:
        case "phone":
            return normalise_phone(value)
        case "plate":
            return normalise_plate(value)
    return " ".join(unicodedata.normalize("NFKC", value).casefold().split())


def normalise_phone(phone: str) -> str:
    """Digits only, Chinese numbers as dialled inside China; other countries keep `+` and their code.

    Empty for what is too short to be dialled.
    """
    text = unicodedata.normalize("NFKC", phone).strip()
    digits = "".join(char for char in text if char in "0123456789")
    if len(digits) < 5:
        return ""
    international = text.startswith("+") or digits.startswith("00")
    digits = digits.removeprefix("00")
    if international and not digits.startswith("86"):
        return f"+{digits}"
    national = digits.removeprefix("86") if international or len(digits) == 13 else digits
    mobile = national.removeprefix("0")
    if len(mobile) == 11 and mobile.startswith("1"):
        return mobile
    return f"0{mobile}" if international else national


def normalise_plate(plate: str) -> str:
    """Capital letters, digits and the province's character; no separators."""
    return "".join(char for char in unicodedata.normalize("NFKC", plate).upper() if char.isalnum())
