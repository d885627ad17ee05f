# lmconv-codec in a container: kernels are compiled while the image is built, so that it runs read-only and as any user.
#
#   docker build -t lmconv .
#   docker run --rm --read-only --user "$(id -u)" -v "$PWD:/work" lmconv compress photo.png
#
# Kernels are made for one kind of processor: x86-64-v3, which is every x86 of the last ten years, unless the build is
# told another: --build-arg CPU=znver4. On others they are compiled again at each start.
FROM python:3.13-slim
ARG CPU=x86-64-v3
ENV LMCONV_CACHE=/opt/lmconv/kernels NUMBA_CPU_NAME=${CPU} PYTHONDONTWRITEBYTECODE=
COPY . /tmp/lmconv
RUN pip install --no-cache-dir --constraint /tmp/lmconv/constraints.txt "/tmp/lmconv[cpu]" \
 && rm -rf /tmp/lmconv \
 && lmconv-codec warm-up \
 && chmod -R a+rX /opt/lmconv
WORKDIR /work
ENTRYPOINT ["lmconv-codec"]
CMD ["--help"]
