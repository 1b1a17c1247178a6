"""Photos and signatures: only what is seen is kept, sealed, and gone with the customer."""

import asyncio
import base64
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable
from io import BytesIO
from struct import pack

import pytest
from PIL import Image
from psycopg_pool import AsyncConnectionPool

from access.keyring import Keyring, Tampered
from access.problems import Problem
from access.roles import Role
from access.tokens import Principal
from eventlog.store import EventStore, UnknownStream
from services.reception import pictures
from services.reception.attachments import Attachments, provision
from tests.pictures import drawn, encoded, in_base64, photo, written_into
from tests.reception.test_visit import received
from tests.recording import recorded

ADVISOR = Principal("advisor-sh01", Role.ADVISOR, frozenset({"sh01"}), 0)
STRANGER = Principal("advisor-gz01", Role.ADVISOR, frozenset({"gz01"}), 0)


@pytest.fixture
async def keyring(fresh_database: Callable[[str], Awaitable[str]]) -> AsyncIterator[Keyring]:
    async with AsyncConnectionPool(await fresh_database("keys"), min_size=1, max_size=2) as pool:
        keyring = Keyring(pool, bytes(32))
        await keyring.provision()
        yield keyring


@pytest.fixture
async def customer(reception: EventStore, keyring: Keyring) -> str:
    """Whose vehicle was received under V1 at sh01."""
    subject = await keyring.subject_for({"phone": "13812345678"})
    begun = received.model_copy(update={"customer": subject})
    await reception.append("visit-V1", 0, [begun], recorded(begun, 1).metadata)
    return subject


@pytest.fixture
async def attachments(reception: EventStore, keyring: Keyring, customer: str) -> Attachments:
    return Attachments(reception, keyring)


async def table(reception: EventStore) -> list[tuple[object, ...]]:
    async with reception.pool.connection() as conn:
        return await (await conn.execute("SELECT * FROM attachment")).fetchall()


def header_only(width: int, height: int) -> bytes:
    """A PNG that claims a size and has no pixels."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return pack(">I", len(data)) + kind + data + pack(">I", zlib.crc32(kind + data))

    head = pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", b"") + chunk(b"IEND", b"")


async def test_a_photo_is_kept_and_read(attachments: Attachments) -> None:
    """R-33."""
    kept = await attachments.keep_photo("sh01", "V1", photo())
    read = await attachments.read(ADVISOR, "V1", kept.sha256)
    assert read.media_type == "image/jpeg"
    assert Image.open(BytesIO(read.content)).size == (kept.width, kept.height) == (640, 480)


async def test_the_same_photo_twice_is_one(attachments: Attachments, reception: EventStore) -> None:
    """R-33."""
    once, again = [await attachments.keep_photo("sh01", "V1", photo()) for _ in range(2)]
    assert once == again
    assert len(await table(reception)) == 1


@pytest.mark.parametrize("format", ["PNG", "WEBP"])
async def test_what_other_cameras_write_becomes_a_jpeg(attachments: Attachments, format: str) -> None:
    see_through = encoded(Image.new("RGBA", (300, 200), (255, 0, 0, 128)), format)
    kept = await attachments.keep_photo("sh01", "V1", see_through)
    read = await attachments.read(ADVISOR, "V1", kept.sha256)
    assert Image.open(BytesIO(read.content)).format == "JPEG"


async def test_nothing_but_what_is_seen_is_kept(attachments: Attachments) -> None:
    """X-01: neither the place, nor the camera, nor a comment; and it stands upright."""
    taken = written_into("沪A12345")
    assert "沪A12345".encode() in taken
    assert Image.open(BytesIO(taken)).getexif().get_ifd(0x8825)
    kept = await attachments.keep_photo("sh01", "V1", taken)
    read = await attachments.read(ADVISOR, "V1", kept.sha256)
    image = Image.open(BytesIO(read.content))
    assert image.size == (300, 400)
    assert dict(image.getexif()) == {}
    assert "comment" not in image.info
    assert "沪A12345".encode() not in read.content


async def test_a_large_photo_is_made_smaller(attachments: Attachments) -> None:
    kept = await attachments.keep_photo("sh01", "V1", photo((5000, 2500)))
    assert (kept.width, kept.height) == (2048, 1024)


@pytest.mark.parametrize(
    ("body", "status", "sentence"),
    [
        (b"<svg xmlns='http://www.w3.org/2000/svg'><script/></svg>", 415, "Only photos in JPEG"),
        (b"<!DOCTYPE html><html><script>alert(1)</script></html>", 415, "Only photos in JPEG"),
        (encoded(Image.new("RGB", (9, 9)), "GIF"), 415, "Only photos in JPEG"),
        (encoded(Image.new("RGB", (9, 9)), "TIFF"), 415, "Only photos in JPEG"),
        (b"%PDF-1.7", 415, "Only photos in JPEG"),
        (b"", 415, "Only photos in JPEG"),
        (b"x" * 1000, 415, "Only photos in JPEG"),
        (photo()[: len(photo()) // 2], 422, "damaged"),
        (b"\xff\xd8\xff\xe0\x00\x10JFIF\x00" + b"\x00" * 64, 422, "damaged"),
        (header_only(100, 100), 422, "damaged"),
        (header_only(10_000, 10_000), 422, "more than 50 megapixels"),
        (header_only(2_000_000_000, 2_000_000_000), 422, "more than 50 megapixels"),
    ],
    ids=lambda value: repr(value)[:12],
)
async def test_what_is_no_photo_is_refused(
    attachments: Attachments, reception: EventStore, body: bytes, status: int, sentence: str
) -> None:
    """R-33: not photos, SVG, HTML, a hundred megapixels: with a sentence, and nothing is kept."""
    with pytest.raises(Problem, match=sentence) as refused:
        await attachments.keep_photo("sh01", "V1", body)
    assert refused.value.status == status
    assert await table(reception) == []


def test_a_bomb_is_refused_before_it_is_decoded(monkeypatch: pytest.MonkeyPatch) -> None:
    def never(image: Image.Image) -> None:
        raise AssertionError("decoded")

    monkeypatch.setattr("PIL.ImageFile.ImageFile.load", never)
    with pytest.raises(Problem, match="more than 50 megapixels"):
        pictures.photo(header_only(10_000, 10_000))


async def test_a_signature_is_kept_and_read(attachments: Attachments, reception: EventStore) -> None:
    """R-33, R-52."""
    once, again = [await attachments.keep_signature("sh01", "V1", drawn()) for _ in range(2)]
    assert once == again
    assert len(await table(reception)) == 1
    read = await attachments.read(ADVISOR, "V1", once)
    assert read.media_type == "image/png"
    assert Image.open(BytesIO(read.content)).size == (400, 160)


@pytest.mark.parametrize(
    ("nothing", "sentence"),
    [
        (in_base64(Image.new("RGBA", (400, 160), (0, 0, 0, 0))), "Nothing was signed"),
        (in_base64(Image.new("RGB", (400, 160), "white")), "Nothing was signed"),
        (in_base64(Image.new("RGB", (400, 160), "black")), "Nothing was signed"),
        (drawn(((200, 80), (203, 80))), "Nothing was signed"),
        (in_base64(Image.new("RGB", (2001, 100), "white")), "at most 2000 by 1000 pixels"),
        (base64.b64encode(header_only(60_000, 60_000)).decode(), "at most 2000 by 1000 pixels"),
        (base64.b64encode(header_only(400, 160)).decode(), "damaged"),
        (base64.b64encode(photo()).decode(), "not a PNG"),
        (base64.b64encode(b"<svg></svg>").decode(), "not a PNG"),
        ("data:image/png;base64,AAAA", "not a PNG"),
        ("王伟", "not a PNG"),
        ("", "Nothing was signed"),
    ],
    ids=lambda value: repr(value)[:12],
)
async def test_a_signature_of_nothing_is_none(
    attachments: Attachments, reception: EventStore, nothing: str, sentence: str
) -> None:
    """R-33."""
    with pytest.raises(Problem, match=sentence) as refused:
        await attachments.keep_signature("sh01", "V1", nothing)
    assert refused.value.status == 422
    assert await table(reception) == []


@pytest.mark.parametrize(("site", "visit"), [("gz01", "V1"), ("sh01", "V2")])
async def test_only_a_visit_of_the_own_site_has_attachments(
    attachments: Attachments, site: str, visit: str
) -> None:
    with pytest.raises(UnknownStream):
        await attachments.keep_photo(site, visit, photo())
    with pytest.raises(UnknownStream):
        await attachments.keep_signature(site, visit, drawn())


async def test_another_site_sees_none(attachments: Attachments) -> None:
    """X-02: another's looks like a missing one."""
    kept = await attachments.keep_photo("sh01", "V1", photo())
    for who, visit, sha256 in (
        (STRANGER, "V1", kept.sha256),
        (ADVISOR, "V2", kept.sha256),
        (ADVISOR, "V1", "0"),
    ):
        with pytest.raises(Problem) as refused:
            await attachments.read(who, visit, sha256)
        assert refused.value.status == 404


async def test_nothing_can_be_read_in_the_database(attachments: Attachments, reception: EventStore) -> None:
    """X-01."""
    kept = await attachments.keep_photo("sh01", "V1", photo())
    clear = (await attachments.read(ADVISOR, "V1", kept.sha256)).content
    [[_, _, _, _, _, box, _]] = await table(reception)
    assert isinstance(box, bytes)
    assert clear[:64] not in box
    assert b"JFIF" not in box


async def test_what_is_kept_is_gone_with_the_customer(
    attachments: Attachments, keyring: Keyring, customer: str
) -> None:
    """X-01: and nothing more can be kept of them."""
    kept = await attachments.keep_photo("sh01", "V1", photo())
    await keyring.erase(customer)
    with pytest.raises(Problem, match="were erased") as gone:
        await attachments.read(ADVISOR, "V1", kept.sha256)
    assert gone.value.status == 410
    with pytest.raises(Problem, match="were erased") as refused:
        await attachments.keep_signature("sh01", "V1", drawn())
    assert refused.value.status == 409


async def test_a_picture_put_in_anothers_place_is_noticed(
    attachments: Attachments, reception: EventStore
) -> None:
    one, other = [await attachments.keep_photo("sh01", "V1", photo(colour=each)) for each in ("red", "blue")]
    async with reception.pool.connection() as conn:
        await conn.execute(
            "UPDATE attachment SET box = (SELECT box FROM attachment WHERE sha256 = %s)", (one.sha256,)
        )
    assert await attachments.read(ADVISOR, "V1", one.sha256)
    with pytest.raises(Tampered):
        await attachments.read(ADVISOR, "V1", other.sha256)


async def test_the_table_is_made_once(reception: EventStore) -> None:
    dsn = reception.pool.conninfo
    assert isinstance(dsn, str)
    await asyncio.gather(*(provision(dsn) for _ in range(3)))
