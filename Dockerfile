# The report and the playground of a results directory, on a CPU.
#
#   docker build -t playground .
#   docker run --rm -p 127.0.0.1:8080:8080 -v "$PWD/results:/results:ro" playground
#
# torch~=2.13.0 takes a CPU build where pip's index has one; PIP_EXTRA_INDEX_URL may name such an index.
FROM python:3.11-slim

ARG PIP_EXTRA_INDEX_URL=""
ENV PIP_EXTRA_INDEX_URL=${PIP_EXTRA_INDEX_URL} PIP_NO_CACHE_DIR=1 PYTHONUNBUFFERED=1 BENCH_CACHE_DIR=/tmp/cache

RUN useradd --uid 1000 --create-home playground
WORKDIR /app
COPY pyproject.toml README.md LICENSE runner.py ./
COPY bench ./bench
COPY reports ./reports
COPY architectures ./architectures
RUN python -m pip install --editable ".[onnx,serve]"

USER playground
VOLUME /results
EXPOSE 8080
HEALTHCHECK --interval=30s --timeout=5s --start-period=60s \
  CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8080/healthz', timeout=4)"]
ENTRYPOINT ["python", "runner.py", "--results", "/results"]
CMD ["--serve", "--host", "0.0.0.0"]
