"""The month's complaints as managers look at them (C-29, P-05)."""

import re
from datetime import UTC, datetime

import httpx2

from access.guard import SESSION_COOKIE
from projections.complaint_timeline.statistics import Month
from tests.system import Running
from tests.web.test_progress import CANARY, COMPLAINT, raised

STATISTICS = "/v1/complaints/statistics"


async def page(running: Running, path: str, role: str, language: str = "en") -> httpx2.Response:
    cookie = f"{SESSION_COOKIE}={running.token(role, 'sh01')}"
    headers = {"Accept": "text/html", "Accept-Language": language, "Cookie": cookie}
    return await running.client.get(path, headers=headers)


async def test_the_month_counts_what_is_raised_in_it(running: Running) -> None:
    """At a site of which no other test knows."""
    this_month, site = str(Month.of(datetime.now(UTC))), "month-end"
    answer = await running.post("/customer-care/v1/complaints", COMPLAINT, "care_agent", site)
    at = {"min_position": answer["position"], "month": this_month}
    read = (await running.get(STATISTICS, "care_agent", site, **at)).json()
    assert (read["month"], read["complaints"]) == (this_month, 1)
    assert (read["by_channel"], read["by_site"]) == ({"phone": 1}, {site: 1})


async def test_this_month_is_what_somebody_sees_who_names_none(running: Running) -> None:
    answer = await running.get(STATISTICS, "region_auditor")
    assert answer.json()["month"] == str(Month.of(datetime.now(UTC)))


async def test_what_is_no_month_is_refused(running: Running) -> None:
    for nonsense in ("2026-13", "2026-00", "2026-1", "soon", "1999-12", ""):
        assert (await running.get(STATISTICS, "care_agent", month=nonsense)).status_code == 422, nonsense


async def test_the_page_says_everything_in_words_and_in_both_languages(running: Running) -> None:
    await raised(running)
    for language, words in (
        ("en", ("Complaint statistics", "By class", "Repair service", "Half of them within")),
        ("zh-CN", ("投诉统计", "按类别", "维修服务", "半数不超过")),
    ):
        text = (await page(running, "/complaints/statistics", "care_manager", language)).text
        for each in words:
            assert each in text
        assert re.findall(r"<script(?![^>]* src=\"/static/)|<style| style=| on\w+=|https?://", text) == []
        assert CANARY not in text


async def test_one_month_leads_to_another(running: Running) -> None:
    text = (await page(running, "/complaints/statistics?month=2026-01", "care_manager")).text
    assert "January 2026" in text
    assert 'href="?month=2025-12"' in text
    assert 'href="?month=2026-02"' in text
    assert "No complaints were raised in this month." in text
    now = (await page(running, "/complaints/statistics", "care_manager")).text
    assert 'rel="next"' not in now


async def test_the_page_is_for_those_who_may_read_complaints(running: Running) -> None:
    assert (await page(running, "/complaints/statistics", "technician")).status_code == 403
    assert (await page(running, "/complaints/statistics", "region_auditor")).status_code == 200
