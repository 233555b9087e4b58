import ContentStore
import OCI

/// The image of the demo: an index, a manifest, a configuration and incompressible layers.
struct DemoImage {
    let reference = "demo.local/spegel/demo:1"
    let index: Descriptor
    let layerCount: Int
    let totalSize: Int64

    private static let layerSizes = [512 << 10, 4 << 20, 24 << 20, 64 << 20]

    static func make(in folder: String) throws -> DemoImage {
        let writer = try ImageLayoutWriter(path: folder)
        var random = SplitMix64(state: 0x5350_4547_454C)
        var total: Int64 = 0
        let layers = try layerSizes.map { size in
            let blob = try writer.makeBlob()
            var left = size
            while left > 0 {
                let chunk = min(left, 1 << 20)
                try blob.write(random.bytes(chunk))
                left -= chunk
            }
            let content = try blob.finish()
            total += content.size
            return Descriptor(mediaType: .ociLayerGzip, digest: content.digest, size: content.size)
        }
        let configuration = try writer.addBlob(
            Array(#"{"architecture":"amd64","os":"linux","rootfs":{"type":"layers","diff_ids":[]}}"#.utf8)
        )
        let manifest = try writer.addManifest(
            Array(
                """
                {"schemaVersion":2,"mediaType":"\(MediaType.ociManifest)",\
                "config":\(json(.ociConfig, configuration.digest, configuration.size)),\
                "layers":[\(layers.map { json($0.mediaType, $0.digest, $0.size) }.joined(separator: ","))]}
                """.utf8
            )
        )
        let index = try writer.addManifest(
            Array(
                """
                {"schemaVersion":2,"mediaType":"\(MediaType.ociIndex)",\
                "manifests":[\(json(.ociManifest, manifest.digest, manifest.size))]}
                """.utf8
            ),
            name: Reference("demo.local/spegel/demo:1")
        )
        total += configuration.size + manifest.size + index.size
        return DemoImage(index: index, layerCount: layers.count, totalSize: total)
    }

    private static func json(_ type: MediaType, _ digest: Digest, _ size: Int64) -> String {
        #"{"mediaType":"\#(type)","digest":"\#(digest)","size":\#(size)}"#
    }
}

/// Steele, Lea and Flood's generator of incompressible bytes, the same in each run.
struct SplitMix64: RandomNumberGenerator {
    var state: UInt64

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var value = state
        value = (value ^ (value >> 30)) &* 0xBF58_476D_1CE4_E5B9
        value = (value ^ (value >> 27)) &* 0x94D0_49BB_1331_11EB
        return value ^ (value >> 31)
    }

    mutating func bytes(_ count: Int) -> [UInt8] {
        [UInt8](unsafeUninitializedCapacity: count) { buffer, done in
            while done + 8 <= count {
                UnsafeMutableRawBufferPointer(buffer).storeBytes(of: next(), toByteOffset: done, as: UInt64.self)
                done += 8
            }
            while done < count {
                buffer[done] = UInt8(truncatingIfNeeded: next())
                done += 1
            }
        }
    }
}
