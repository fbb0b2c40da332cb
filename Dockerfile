# Two stages: what builds the product stays out of what runs it.
FROM python:3.13.7-slim-bookworm AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
RUN python -m venv /opt/headroom
WORKDIR /src
COPY . .
RUN /opt/headroom/bin/pip install .

FROM python:3.13.7-slim-bookworm
RUN useradd --system --uid 10001 --home-dir /var/lib/headroom --create-home --shell /usr/sbin/nologin headroom \
    && chmod 0700 /var/lib/headroom
COPY --from=build /opt/headroom /opt/headroom
ENV PATH=/opt/headroom/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    HEADROOM_HOST=0.0.0.0 \
    HEADROOM_PORT=8787 \
    HEADROOM_WORKSPACE_DIR=/var/lib/headroom
USER headroom
WORKDIR /var/lib/headroom
VOLUME /var/lib/headroom
EXPOSE 8787
# SIGTERM lets running answers finish, so the container must be given time: `docker stop --time 660`.
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s --retries=3 \
    CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8787/livez', timeout=4)"]
ENTRYPOINT ["headroom"]
CMD ["proxy"]
