# A worker of pool cpu, and the image of the runs it starts: orchestration, dataset, release. Build from the repository's root:
#   docker build -f deployments/images/cpu.Dockerfile -t cogumi-cpu:0.1.0 .
# Holds no key: keys come from the environment of the container (see deployments/pools/).
FROM python:3.11.14-slim-bookworm AS build
SHELL ["/bin/bash", "-o", "pipefail", "-c"]
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
RUN python -m venv /opt/venv
WORKDIR /src
COPY pyproject.toml constraints.txt README.md ./
COPY configs configs
COPY blocks blocks
COPY tasks tasks
COPY flows flows
COPY deployments deployments
# PyTorch without CUDA: a tenth of the size
RUN /opt/venv/bin/pip install --extra-index-url https://download.pytorch.org/whl/cpu -c constraints.txt '.[deploy,postgres,s3]'

FROM python:3.11.14-slim-bookworm
RUN groupadd --gid 10001 cogumi && useradd --uid 10001 --gid 10001 --home-dir /var/lib/cogumi --create-home cogumi
COPY --from=build /opt/venv /opt/venv
ENV PATH=/opt/venv/bin:$PATH \
    COGUMI_HOME=/var/lib/cogumi \
    PREFECT_HOME=/var/lib/cogumi/prefect \
    PREFECT_RESULTS_LOCAL_STORAGE_PATH=/var/lib/cogumi/results \
    PREFECT_RESULTS_PERSIST_BY_DEFAULT=true \
    PREFECT_RESULTS_DEFAULT_SERIALIZER=json \
    PREFECT_FLOWS_HEARTBEAT_FREQUENCY=60 \
    PREFECT_LOGGING_EXTRA_LOGGERS=cogumi \
    DO_NOT_TRACK=1 \
    HF_HUB_DISABLE_TELEMETRY=1 \
    PYTHONUNBUFFERED=1
USER 10001:10001
WORKDIR /var/lib/cogumi
CMD ["python", "-m", "deployments.up.worker_command", "worker", "start", "--pool", "cpu"]
