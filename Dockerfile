# The one image of all services. Which of them a container is, its command says: environments/services.yaml.
#
#   docker build --tag mandate .
#   docker run --read-only --tmpfs /tmp mandate mandate serve control
#
# Pin the base by its digest when you release. Not built in this project's checks so far: docs/proofs.md.

FROM docker.io/library/python:3.12-slim AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
RUN python -m venv /opt/mandate
COPY requirements.txt /build/
RUN /opt/mandate/bin/pip install --require-hashes --requirement /build/requirements.txt
RUN python -m pip install hatchling
COPY pyproject.toml README.md LICENSE /build/
COPY src /build/src
# Emulators stay out: nothing in a container shall be able to stand in for Azure.
RUN rm -r /build/src/emulators /build/src/mandate/local /build/src/mandate/demo /build/src/mandate/bench \
 && sed -i 's|"src/emulators", ||' /build/pyproject.toml \
 && python -m pip wheel --no-deps --no-build-isolation --wheel-dir /build/wheels /build \
 && /opt/mandate/bin/pip install --no-deps /build/wheels/*.whl \
 && /opt/mandate/bin/pip uninstall --yes pip

FROM docker.io/library/python:3.12-slim
COPY --from=build /opt/mandate /opt/mandate
COPY agents /opt/app/agents
COPY environments /opt/app/environments
ENV PATH=/opt/mandate/bin:$PATH MANDATE_ROOT=/opt/app PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 HOME=/tmp
USER 65532:65532
WORKDIR /opt/app
CMD ["mandate", "serve", "interaction"]
