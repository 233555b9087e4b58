import ContentStore
import OCI
import Synchronization
import Testing

@Suite("ContentIndex")
struct ContentIndexTests {
    private func digest(_ digit: Character) throws -> Digest {
        try Digest("sha256:" + String(repeating: digit, count: 64))
    }

    @Test("keeps a known media type")
    func insert() throws {
        let index = ContentIndex()
        let digest = try digest("a")
        #expect(index.entry(digest) == nil)
        index.insert(digest, size: 5, mediaType: .ociManifest)
        index.insert(digest, size: 6, mediaType: nil)
        #expect(index.entry(digest) == .init(size: 6, mediaType: .ociManifest))
        index.insert(digest, size: 6, mediaType: .dockerManifest)
        #expect(index.entry(digest)?.mediaType == .dockerManifest)
        #expect(index.counts.contents == 1)
        #expect(index.counts.tags == 0)
        index.remove(digest)
        #expect(index.entry(digest) == nil)
    }

    @Test("reports the first list and later arrivals")
    func arrivals() throws {
        let index = ContentIndex()
        let told = Mutex<[String]>([])
        index.observe { arrival in
            let (word, contents) =
                switch arrival {
                case .first(let contents): ("first", contents)
                case .later(let contents): ("later", contents)
                }
            told.withLock { $0.append("\(word) \(contents.keys.map { String($0.hex.prefix(1)) }.sorted().joined())") }
        }
        let entry = ContentIndex.Entry(size: 1, mediaType: nil)
        // Before the first complete list, an insert is no arrival.
        index.insert(try digest("a"), size: 1, mediaType: nil)
        #expect(told.withLock { $0 }.isEmpty)
        index.replace(contents: [try digest("a"): entry, try digest("b"): entry], tags: [:])
        index.insert(try digest("b"), size: 1, mediaType: .ociManifest)
        index.insert(try digest("c"), size: 1, mediaType: nil)
        index.replace(contents: [try digest("d"): entry], tags: [:])
        #expect(told.withLock { $0 } == ["first ab", "later c", "later d"])
    }

    @Test("sets, removes and replaces tags")
    func tags() throws {
        let index = ContentIndex()
        let target = Descriptor(mediaType: .ociIndex, digest: try digest("b"), size: 1)
        index.setTag("docker.io/x:1", to: target)
        #expect(index.resolve(tagName: "docker.io/x:1") == target)
        index.setTag("docker.io/x:1", to: nil)
        #expect(index.resolve(tagName: "docker.io/x:1") == nil)
        index.insert(try digest("c"), size: 1, mediaType: nil)
        index.setTag("docker.io/x:1", to: target)
        index.replace(
            contents: [try digest("d"): .init(size: 2, mediaType: nil)],
            tags: ["docker.io/x:2": target]
        )
        #expect(index.counts.contents == 1)
        #expect(index.counts.tags == 1)
        #expect(index.entry(try digest("c")) == nil)
        #expect(index.resolve(tagName: "docker.io/x:1") == nil)
        #expect(index.resolve(tagName: "docker.io/x:2") == target)
    }
}
