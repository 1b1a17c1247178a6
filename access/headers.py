"""What every response tells the browser: run only our own files, keep nothing, tell nobody."""

from starlette.types import ASGIApp, Message, Receive, Scope, Send

POLICY = {
    "Content-Security-Policy": (
        "default-src 'self'; object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
}
_POLICY = [(name.lower().encode(), value.encode()) for name, value in POLICY.items()]
_NOT_STORED = (b"cache-control", b"no-store")


class SecurityHeaders:
    """Adds the policy to each response that does not set its own. Touches headers only: a stream flows on.

    A file says when it was last modified and may be cached; everything else may be somebody's data and
    is not stored.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def with_policy(message: Message) -> None:
            if message["type"] == "http.response.start":
                given = list(message.get("headers", ()))
                names = {name for name, _ in given}
                ours = _POLICY if b"last-modified" in names else [*_POLICY, _NOT_STORED]
                message["headers"] = given + [each for each in ours if each[0] not in names]
            await send(message)

        await self.app(scope, receive, with_policy)
