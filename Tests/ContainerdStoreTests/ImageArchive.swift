import OCI

/// An image in an OCI archive for `ctr images import`, built from the bytes of its layers.
///
/// The layers are no tar files, since no test unpacks them.
struct ImageArchive {
    let path: String
    let manifest: Digest
    /// All content of the image with its bytes.
    let contents: [Digest: [UInt8]]

    /// Writes the archive into a folder.
    ///
    /// - Parameter name: the full name of the image.
    init(name: String, layers: [[UInt8]], in folder: TemporaryFolder) throws {
        let layout = "layout-\(UInt64.random(in: 0 ... .max))"
        try folder.makeFolder("\(layout)/blobs/sha256")
        var contents: [Digest: [UInt8]] = [:]
        func store(_ blobs: [[UInt8]]) throws -> [Digest] {
            for (number, blob) in blobs.enumerated() { try folder.write("\(layout)/new-\(number)", blob) }
            // One process for all: a process for each of thousands of layers would take long.
            let script = """
                cd "$1" && ls -v new-* | xargs sha256sum | while read -r hex file; do
                    mv "$file" "blobs/sha256/$hex" && echo "sha256:$hex"
                done
                """
            let output = try ChildProcess.run(["sh", "-c", script, "sh", "\(folder.path)/\(layout)"])
            let digests = try output.split(separator: "\n").map { try Digest($0) }
            for (digest, blob) in zip(digests, blobs) { contents[digest] = blob }
            return digests
        }
        let layerDigests = try store(layers)
        let differences = layerDigests.map { "\"\($0)\"" }.joined(separator: ",")
        let config = Array(
            """
            {"architecture":"amd64","os":"linux","config":{},"rootfs":{"type":"layers","diff_ids":[\(differences)]}}
            """.utf8
        )
        let configDigest = try Self.only(store([config]))
        let layerDescriptors = zip(layerDigests, layers)
            .map { Self.descriptor("application/vnd.oci.image.layer.v1.tar", $0, $1.count) }
            .joined(separator: ",")
        let manifest = Array(
            """
            {"schemaVersion":2,"mediaType":"\(MediaType.ociManifest)",\
            "config":\(Self.descriptor(MediaType.ociConfig.text, configDigest, config.count)),\
            "layers":[\(layerDescriptors)]}
            """.utf8
        )
        let manifestDigest = try Self.only(store([manifest]))
        let entry = Self.descriptor(
            MediaType.ociManifest.text,
            manifestDigest,
            manifest.count,
            extra: #","annotations":{"io.containerd.image.name":"\#(name)"}"#
        )
        try folder.write("\(layout)/index.json", Array(#"{"schemaVersion":2,"manifests":[\#(entry)]}"#.utf8))
        try folder.write("\(layout)/oci-layout", Array(#"{"imageLayoutVersion":"1.0.0"}"#.utf8))
        path = "\(folder.path)/\(layout).tar"
        _ = try ChildProcess.run(
            ["tar", "-cf", path, "-C", "\(folder.path)/\(layout)", "oci-layout", "index.json", "blobs"]
        )
        self.manifest = manifestDigest
        self.contents = contents
    }

    private static func descriptor(_ type: String, _ digest: Digest, _ size: Int, extra: String = "") -> String {
        #"{"mediaType":"\#(type)","digest":"\#(digest)","size":\#(size)\#(extra)}"#
    }

    private static func only(_ digests: [Digest]) throws -> Digest {
        guard let digest = digests.first, digests.count == 1 else { throw TestError("sha256sum returned \(digests)") }
        return digest
    }
}
