FROM python:3.11-slim-bookworm AS build
RUN pip install --no-cache-dir uv==0.13.9
ENV UV_LINK_MODE=copy UV_COMPILE_BYTECODE=1 UV_HTTP_TIMEOUT=300
WORKDIR /app
COPY pyproject.toml README.md ./
# Exact versions: pyproject.toml constrains every package, also those that others need.
RUN uv sync --no-dev --no-install-project
COPY events events
COPY eventlog eventlog
COPY access access
COPY services services
COPY projections projections
COPY ops ops
RUN uv sync --no-dev --no-editable

FROM python:3.11-slim-bookworm
RUN useradd --system --uid 10001 --home-dir /var/lib/bayledger bayledger \
    && install -d -m 0700 -o bayledger -g bayledger \
        /var/lib/bayledger /var/lib/bayledger/secrets /var/lib/bayledger/checkpoints
COPY --from=build /app/.venv /app/.venv
ENV PATH=/app/.venv/bin:$PATH PYTHONUNBUFFERED=1
USER bayledger
WORKDIR /var/lib/bayledger
ENTRYPOINT ["bayledger"]
