# The one image of all services. Which of them a container is, its command says: environments/services.yaml.
#
#   docker build --tag mandate .
#   docker run --read-only --tmpfs /tmp mandate mandate serve control
#
# A release pins BASE by its digest: docs/releases.md. tests/infra/test_image.py builds it without Docker.
ARG BASE=docker.io/library/debian:trixie-slim

FROM ${BASE} AS base
RUN apt-get update -qq \
 && apt-get install --yes -qq --no-install-recommends ca-certificates python3 tzdata \
 && rm -rf /var/lib/apt/lists/* /var/cache/apt/* /var/log/*.log /var/log/apt

FROM base AS build
RUN apt-get update -qq && apt-get install --yes -qq --no-install-recommends python3-venv
WORKDIR /build
COPY requirements.txt requirements-build.txt ./
RUN python3 -m venv /opt/mandate && python3 -m venv tools \
 && /opt/mandate/bin/pip install --quiet --no-cache-dir --only-binary :all: --require-hashes -r requirements.txt \
 && tools/bin/pip install --quiet --no-cache-dir --only-binary :all: --require-hashes -r requirements-build.txt
COPY pyproject.toml README.md LICENSE ./
COPY src src
# Emulators stay out: nothing in a container shall be able to stand in for Azure.
RUN rm -r src/emulators src/mandate/local src/mandate/demo src/mandate/bench \
 && sed -i 's|"src/emulators", ||' pyproject.toml \
 && tools/bin/python -m hatchling build -t wheel -d wheels \
 && /opt/mandate/bin/pip install --quiet --no-deps --no-index wheels/*.whl \
 && /opt/mandate/bin/pip uninstall --quiet --yes pip

FROM base
# Nobody here becomes somebody else.
RUN find / -xdev -type f -perm /6000 -exec chmod a-s {} +
COPY --from=build /opt/mandate /opt/mandate
COPY agents /opt/app/agents
COPY environments /opt/app/environments
ENV PATH=/opt/mandate/bin:$PATH MANDATE_ROOT=/opt/app PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 HOME=/tmp
USER 65532:65532
WORKDIR /opt/app
HEALTHCHECK --interval=30s --timeout=5s --start-period=60s CMD ["mandate", "healthy"]
CMD ["mandate", "serve", "interaction"]
