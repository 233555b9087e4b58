import OCI

extension FuzzTarget {
    private static let digest = "sha256:" + String(repeating: "0a", count: 32)
    private static let longDigest = "sha512:" + String(repeating: "0b", count: 64)

    /// Names, references, and requests of a client.
    static let oci: [FuzzTarget] = [
        .text("digest", dictionary: ["sha256:", "sha512:", ":", "g", "A"], samples: [digest, longDigest]) { text in
            guard let digest = try? Digest(text) else { return false }
            check(digest.text == text && (try? Digest(digest.text)) == digest, "a digest parses from its own text")
            _ = digest.hex
            return true
        },
        .text(
            "reference",
            dictionary: ["/", ":", "@", "sha256:", "[::1]", ":5000", "..", "__", "-", "."],
            samples: [
                "docker.io/library/alpine:3.20", "[fd00::1]:5000/a/b_c/d.e-f:latest", "example.com/x@" + digest,
                "example.com:443/x/y:v1@" + longDigest,
            ]
        ) { text in
            guard let reference = try? Reference(text) else { return false }
            check((try? Reference(reference.description)) == reference, "a reference parses from its own text")
            _ = reference.tagName
            return true
        },
        .text(
            "image-name",
            dictionary: [
                "/", ":", "@", "sha256:", "localhost", ":5000", "library", "docker.io", " ", "[::1]", "latest",
            ],
            samples: ["alpine", "grafana/grafana:11", "localhost/a@" + digest, "registry.example:5000/a/b", longDigest]
        ) { text in
            guard let name = try? ImageName(text) else { return false }
            check((try? ImageName(name.description)) == name, "a name parses from its own text")
            if case .image(let reference) = name {
                check(reference.tag != nil || reference.digest != nil, "an image has a tag or a digest")
            }
            return true
        },
        .text(
            "distribution-path",
            dictionary: [
                "/v2/", "/manifests/", "/blobs/", "?ns=", "&ns=", "%2F", "%3A", "%00", "%", "sha256:", "//", "?",
            ],
            samples: [
                "/v2/", "/v2/library/alpine/manifests/3.20?ns=docker.io",
                "/v2/a/b/blobs/" + digest + "?ns=example.com%3A5000",
                "/v2/registry.corp_5000/a/manifests/1", "/v2/docker.io/library/alpine/manifests/3.20",
                "/v2/a/manifests/" + longDigest, "/v2/manifests/blobs/manifests/latest?x=1&ns=[::1]",
            ]
        ) { text in
            let fallback = DistributionRequest.Fallback.path(default: RegistryName("docker.io"))
            if case .content(let content)? = try? DistributionRequest.parse(target: text, fallback: fallback) {
                check(
                    (try? DistributionRequest.parse(target: content.path)) == .content(content),
                    "a request without ns goes to peers as one with it"
                )
            }
            guard let path = try? DistributionRequest.parse(target: text) else { return false }
            if case .content(let content) = path {
                check(
                    (try? DistributionRequest.parse(target: content.path)) == path,
                    "a request parses from its own path"
                )
                _ = content.notFound.json
            }
            return true
        },
        .text(
            "byte-range",
            dictionary: ["bytes=", "bytes ", "-", "/", ",", "*", "0", "9223372036854775807", "9223372036854775808"],
            samples: ["bytes=0-99", "bytes=100-", "bytes=-5", "bytes 0-99/1000", "bytes 9-9/10"]
        ) { text in
            if let (range, size) = ByteRange.parse(contentRange: text) {
                check(
                    range.lowerBound >= 0 && range.upperBound <= size && !range.isEmpty,
                    "a content range is in its content"
                )
                check(
                    ByteRange.parse(contentRange: ByteRange.contentRange(range, size: size))?.range == range,
                    "a content range parses from its own text"
                )
                return true
            }
            guard case .single(let range) = ByteRange.parse(header: text) else { return false }
            for size: Int64 in [0, 1, 100, .max] {
                if let resolved = range.resolved(size: size) {
                    check(resolved.lowerBound >= 0 && resolved.upperBound <= size, "a range is in its content")
                }
            }
            check(ByteRange.parse(header: range.headerValue) == .single(range), "a range parses from its own text")
            return true
        },
    ]
}
