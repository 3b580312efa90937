# syntax=docker/dockerfile:1
# docker build -t aiface .    then as compose.yaml does it; docs/serve.md
# Both stages have Debian 13's Python 3.13. For an image that never changes, pin both by digest.
FROM python:3.13-slim-trixie AS build
WORKDIR /src
COPY . .
RUN python -m pip install --no-cache-dir --disable-pip-version-check --root-user-action=ignore --target /app ".[cpu,serve]" \
    && python scripts/prune_site_packages.py /app

# Without a shell, a package manager or a compiler.
FROM gcr.io/distroless/python3-debian13:nonroot
COPY --from=build /app /app
ENV PYTHONPATH=/app PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1
USER 65532:65532
EXPOSE 8000
HEALTHCHECK --interval=30s --timeout=5s --start-period=20s --retries=3 \
    CMD ["/usr/bin/python3.13", "-c", "import urllib.request as r; r.urlopen('http://127.0.0.1:8000/healthz', timeout=4)"]
# Listens beyond the container, so it needs AIFACE_TOKEN; without it, it says so and ends.
ENTRYPOINT ["/usr/bin/python3.13", "-P", "-m", "aiface_runtime", "serve", "--host", "0.0.0.0"]
