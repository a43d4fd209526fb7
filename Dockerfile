# One image for the API, the workers and the migrations; the command chooses.
FROM python:3.11-slim-bookworm AS packages
RUN python -m venv /opt/nexus
COPY requirements.lock /tmp/requirements.lock
RUN /opt/nexus/bin/pip install --no-cache-dir --require-hashes -r /tmp/requirements.lock

FROM python:3.11-slim-bookworm
RUN useradd --system --uid 10001 --home-dir /app --shell /usr/sbin/nologin nexus \
  && install -d -o nexus /var/lib/nexus/mails
COPY --from=packages /opt/nexus /opt/nexus
WORKDIR /app
COPY pyproject.toml README.md LICENSE ./
COPY nexus nexus
COPY workflows workflows
COPY activities activities
COPY storage storage
COPY api api
COPY definitions definitions
RUN /opt/nexus/bin/pip install --no-cache-dir --no-deps --no-build-isolation -e . \
  && /opt/nexus/bin/python -m compileall -q nexus workflows activities storage api
ENV PATH=/opt/nexus/bin:$PATH PYTHONUNBUFFERED=1
USER nexus
ENTRYPOINT ["nexus"]
CMD ["--help"]
