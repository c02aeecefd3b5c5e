FROM swift:6.3-bookworm AS build
RUN apt-get update && apt-get install -y --no-install-recommends libssl-dev libyaml-dev make pkg-config zlib1g-dev && rm -rf /var/lib/apt/lists/*
WORKDIR /src
COPY Package.swift Makefile ./
COPY Sources Sources
COPY Tests/need.sh Tests/need.sh
COPY Tests/TestSupport Tests/TestSupport
# The test targets are not built, but the package names their folders.
RUN sed -n 's/.*testTarget(name: "\([A-Za-z]*\)".*/\1/p; s/^ *name: "\([A-Za-z]*Tests\)".*/\1/p' Package.swift \
    | while read -r name; do mkdir -p "Tests/$name/Fixtures" && touch "Tests/$name/Empty.swift"; done \
 && make build && install -D .build/release/sluice /out/sluice && strip /out/sluice

FROM debian:bookworm-slim
RUN apt-get update && apt-get install -y --no-install-recommends ca-certificates libssl3 libyaml-0-2 zlib1g && rm -rf /var/lib/apt/lists/* \
 && useradd --system --uid 10001 --user-group --no-create-home --shell /usr/sbin/nologin sluice
COPY --from=build /out/sluice /usr/local/bin/sluice
# What is served unless another file is mounted here.
COPY routes.yaml /etc/sluice/routes.yaml
COPY examples/web /etc/sluice/examples/web
WORKDIR /etc/sluice
USER 10001
EXPOSE 8000
STOPSIGNAL SIGTERM
# Bash speaks TCP, so no client needs to be in the image; any answer shows that the process serves.
HEALTHCHECK --interval=10s --timeout=3s --start-period=2s \
  CMD ["bash", "-c", "exec 3<>/dev/tcp/127.0.0.1/8000 && printf 'GET / HTTP/1.1\\r\\nHost: localhost\\r\\nConnection: close\\r\\n\\r\\n' >&3 && head -1 <&3 | grep -q '^HTTP/1.1 '"]
ENTRYPOINT ["sluice"]
CMD ["serve", "/etc/sluice/routes.yaml", "--bind", "0.0.0.0:8000"]
