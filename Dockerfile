# The dashboard on the built-in study; mount a results folder and name it to open yours:
#   docker build -t xaieval .
#   docker run --rm -p 5006:5006 xaieval
#   docker run --rm -p 5006:5006 -v "$PWD/out:/data:ro" \
#     xaieval serve /data --address 0.0.0.0 --allow-origin localhost:5006 --no-browser
FROM python:3.11-slim

ENV PIP_NO_CACHE_DIR=1 PYTHONUNBUFFERED=1 XAIEVAL_CACHE=/tmp/xaieval-cache
WORKDIR /opt/xaieval

# A CPU build of torch: pass --build-arg TORCH_INDEX=https://download.pytorch.org/whl/cu126 for CUDA.
ARG TORCH_INDEX=https://download.pytorch.org/whl/cpu
COPY constraints.txt ./
RUN pip install --index-url "${TORCH_INDEX}" -c constraints.txt torch

COPY pyproject.toml README.md LICENSE ./
COPY xaieval ./xaieval
COPY app ./app
COPY assets ./assets
RUN pip install -c constraints.txt . && useradd --create-home viewer
USER viewer

EXPOSE 5006
HEALTHCHECK --interval=30s --start-period=30s CMD python -c "import urllib.request as u; u.urlopen('http://127.0.0.1:5006/', timeout=5)"
ENTRYPOINT ["xaieval"]
CMD ["serve", "--no-browser", "--address", "0.0.0.0", "--port", "5006", "--allow-origin", "localhost:5006"]
