# Annals in a container: a release build, run by a user of its own. The Postgres is another
# container's (DATABASE_URL); see docker-compose.yml.
FROM rust:1.95-bookworm AS build
# The Kafka client speaks TLS with OpenSSL.
RUN apt-get update && apt-get install -y --no-install-recommends libssl-dev pkg-config && rm -rf /var/lib/apt/lists/*
WORKDIR /src
COPY . .
RUN --mount=type=cache,target=/usr/local/cargo/registry --mount=type=cache,target=/target \
    CARGO_TARGET_DIR=/target cargo build --release --locked -p annals-api --bin annals --features kafka-tls \
    && cp /target/release/annals /usr/local/bin/annals

FROM debian:bookworm-slim
RUN apt-get update \
    && apt-get install -y --no-install-recommends ca-certificates curl libssl3 tini \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --system --home-dir /var/lib/annals --create-home annals
COPY --from=build /usr/local/bin/annals /usr/local/bin/annals
USER annals
WORKDIR /var/lib/annals
VOLUME /var/lib/annals
# For `annals serve` and for every other command that is called in the container.
ENV ANNALS_DATA=/var/lib/annals ANNALS_LISTEN=0.0.0.0:3000
EXPOSE 3000
HEALTHCHECK --interval=10s --timeout=3s --start-period=30s CMD curl -fsS http://127.0.0.1:3000/health/live || exit 1
ENTRYPOINT ["tini", "--", "annals"]
CMD ["serve"]
