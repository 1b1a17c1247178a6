"""Amounts as Chinese shops print them: in figures, and in the capital numerals that nobody can alter."""

DIGITS = "零壹贰叁肆伍陆柒捌玖"
PLACES = ("", "拾", "佰", "仟")
GROUPS = ("", "万", "亿", "万亿")


def figures(fen: int) -> str:
    yuan, rest = divmod(fen, 100)
    return f"¥{yuan:,}.{rest:02}"


def capitals(fen: int) -> str:
    """By the rules for bills: a zero between other digits is written once, the one before jiao when the yuan
    end in zero, and a whole number of yuan ends in 整."""
    yuan, rest = divmod(fen, 100)
    jiao, cents = divmod(rest, 10)
    whole = f"{_number(yuan)}元" if yuan else ""
    if not rest:
        return f"{whole or '零元'}整"
    zero = "零" if yuan and (not jiao or yuan % 10 == 0) else ""
    parts = (f"{DIGITS[jiao]}角" if jiao else "") + (f"{DIGITS[cents]}分" if cents else "")
    return whole + zero + parts


def _number(n: int) -> str:
    """Four digits at a time, the highest first."""
    text, zero = "", False
    for place in reversed(range(len(GROUPS))):
        group = n // 10_000**place % 10_000
        if not group:
            zero = bool(text)
            continue
        gap = "零" if text and (zero or group < 1_000) else ""
        text, zero = text + gap + _group(group) + GROUPS[place], False
    return text


def _group(n: int) -> str:
    text, zero = "", False
    for place in reversed(range(len(PLACES))):
        digit = n // 10**place % 10
        if digit:
            text, zero = text + ("零" if zero else "") + DIGITS[digit] + PLACES[place], False
        else:
            zero = bool(text)
    return text
