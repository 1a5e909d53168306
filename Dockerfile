# One image for everything: `millstream migrate`, `python -m producer`, `python -m consumer`. No servers, no compiler, no secrets in it.

FROM python:3.12-slim AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 PIP_ROOT_USER_ACTION=ignore
RUN python -m venv /opt/build && python -m venv /opt/millstream

# Packages change less often than our own code, so they are a layer of their own. Every download is checked against a hash.
COPY constraints-build.txt constraints-image.txt /src/
RUN /opt/build/bin/pip install -q --require-hashes -r /src/constraints-build.txt \
    && /opt/millstream/bin/pip install -q --require-hashes --only-binary :all: -r /src/constraints-image.txt

COPY . /src
RUN /opt/build/bin/pip wheel -q --no-deps --no-build-isolation -w /wheels /src \
    && /opt/millstream/bin/pip install -q --no-deps --no-index /wheels/*.whl \
    && /opt/millstream/bin/pip uninstall -q -y pip \
    && /opt/millstream/bin/python -m compileall -q /opt/millstream/lib


FROM python:3.12-slim
ENV PATH=/opt/millstream/bin:$PATH PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1
# The output folder belongs to the user, so that a new volume mounted there does too.
RUN groupadd --system --gid 10001 millstream \
    && useradd --system --uid 10001 --gid 10001 --no-create-home --home-dir /app millstream \
    && mkdir /app \
    && install -d -o millstream -g millstream /app/output
COPY --from=build /opt/millstream /opt/millstream
USER millstream
WORKDIR /app
EXPOSE 3000
STOPSIGNAL SIGTERM
CMD ["millstream", "--help"]
