# For those with Docker. `make image` makes the same image without it.
ARG SWIFT=swift:6.2-bookworm
FROM ${SWIFT} AS build
RUN apt-get update && apt-get install --yes --no-install-recommends ca-certificates make python3 zlib1g-dev
# Not /spegel, which stands in the program for other reasons: scripts/image looks whether the folder does.
WORKDIR /spegel-sources
COPY . .
# The time of the sources, in seconds since 1970; git, which knows it, is not here.
ARG SOURCE_DATE_EPOCH
RUN make build && scripts/image --root /image

FROM scratch
COPY --from=build /image /
ENV PATH=/ SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt
EXPOSE 5000 5001 9090
ENTRYPOINT ["/spegel"]
