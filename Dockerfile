# The portal, with everything it needs in one folder that nobody can write to. What it keeps is in /var/lib/portal.
FROM python:3.11-slim-bookworm AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
WORKDIR /opt/portal
RUN python -m venv .venv
COPY requirements.lock ./
RUN .venv/bin/python -m pip install --quiet --require-hashes --only-binary :all: -r requirements.lock
COPY app.py LICENSE ./
COPY portal portal
COPY locales locales
# catalogues and bytecode now: the folder is read-only later
RUN .venv/bin/python -c 'from portal import i18n; [i18n.catalogue(language) for language in i18n.LANGUAGES]' \
 && .venv/bin/python -m compileall -q app.py portal \
 && .venv/bin/python -m pip uninstall --quiet --yes pip setuptools

FROM python:3.11-slim-bookworm
RUN useradd --system --uid 10001 --home-dir /var/lib/portal --create-home --shell /usr/sbin/nologin portal \
 && chmod 0700 /var/lib/portal
COPY --from=build /opt/portal /opt/portal
WORKDIR /opt/portal
ENV PATH=/opt/portal/.venv/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 \
    PORTAL_HOST=0.0.0.0 PORTAL_DATA_DIR=/var/lib/portal PORTAL_LOG_FORMAT=json
USER 10001
VOLUME /var/lib/portal
EXPOSE 8080
HEALTHCHECK --interval=30s --timeout=5s --start-period=90s \
  CMD ["python", "-c", "import urllib.request as u; u.urlopen('http://127.0.0.1:8080/healthz', timeout=4)"]
STOPSIGNAL SIGTERM
CMD ["python", "app.py"]
