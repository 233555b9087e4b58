# Builds the image with Docker. `make image` makes the same image without it.
ARG SWIFT=swift:6.2-bookworm
FROM ${SWIFT} AS build
RUN apt-get update && apt-get install --yes --no-install-recommends ca-certificates make python3 zlib1g-dev
# Not /spegel: the program contains that text anyway, and scripts/image checks that it does not contain this path.
WORKDIR /spegel-sources
COPY . .
# The time of the sources, in seconds since 1970; the build has no git to read it from.
ARG SOURCE_DATE_EPOCH
RUN make build && scripts/image --root /image

FROM scratch
COPY --from=build /image /
ENV PATH=/ SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt
EXPOSE 5000 5001 9090
ENTRYPOINT ["/spegel"]
