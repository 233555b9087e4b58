import OCI
import Testing

@Suite("ByteRange")
struct ByteRangeTests {
    @Test(
        "one range",
        arguments: [
            ("bytes=0-0", .closed(first: 0, last: 0)),
            ("bytes=5-9", .closed(first: 5, last: 9)),
            ("Bytes = 5 - 9", .closed(first: 5, last: 9)),
            ("bytes=0005-", .from(5)),
            ("bytes=4194304-", .from(4_194_304)),
            ("bytes=-500", .suffix(500)),
            ("bytes=-0", .suffix(0)),
            ("bytes=0-9223372036854775807", .closed(first: 0, last: .max)),
        ] as [(String, ByteRange)]
    )
    func single(header: String, range: ByteRange) {
        #expect(ByteRange.parse(header: header) == .single(range))
    }

    @Test(
        "ignores unsupported and malformed headers",
        arguments: [
            "", "bytes", "bytes=", "bytes=-", "bytes=a-b", "bytes=9-5", "bytes=0-1,3-4", "bytes=0--1", "bytes=--1",
            "bytes=+1-2", "items=0-1", "bytes=0-99999999999999999999", "bytes=1-2=3", "bytes=٣-٤", "=0-1",
            "bytes=0-" + String(repeating: "0", count: 200),
        ]
    )
    func ignored(header: String) {
        #expect(ByteRange.parse(header: header) == .ignored)
    }

    @Test("resolves to the part of the range that exists")
    func resolved() {
        #expect(ByteRange.closed(first: 0, last: 0).resolved(size: 10) == 0..<1)
        #expect(ByteRange.closed(first: 5, last: 100).resolved(size: 10) == 5..<10)
        #expect(ByteRange.closed(first: 0, last: .max).resolved(size: .max) == 0..<Int64.max)
        #expect(ByteRange.closed(first: 10, last: 11).resolved(size: 10) == nil)
        #expect(ByteRange.closed(first: 0, last: 0).resolved(size: 0) == nil)
        #expect(ByteRange.closed(first: -1, last: 5).resolved(size: 10) == nil)
        #expect(ByteRange.closed(first: 5, last: 4).resolved(size: 10) == nil)
        #expect(ByteRange.from(0).resolved(size: 10) == 0..<10)
        #expect(ByteRange.from(9).resolved(size: 10) == 9..<10)
        #expect(ByteRange.from(10).resolved(size: 10) == nil)
        #expect(ByteRange.from(0).resolved(size: 0) == nil)
        #expect(ByteRange.suffix(3).resolved(size: 10) == 7..<10)
        #expect(ByteRange.suffix(.max).resolved(size: 10) == 0..<10)
        #expect(ByteRange.suffix(0).resolved(size: 10) == nil)
        #expect(ByteRange.suffix(1).resolved(size: 0) == nil)
    }

    @Test("Content-Range")
    func contentRange() throws {
        #expect(ByteRange.contentRange(5..<10, size: 20) == "bytes 5-9/20")
        let parsed = try #require(ByteRange.parse(contentRange: "bytes 5-9/20"))
        #expect(parsed.range == 5..<10)
        #expect(parsed.size == 20)
        let largest = try #require(ByteRange.parse(contentRange: "bytes 0-9223372036854775806/9223372036854775807"))
        #expect(largest.range == 0..<Int64.max)
    }

    @Test(
        "rejects malformed Content-Range",
        arguments: [
            "", "bytes", "bytes 5-9", "bytes 5-9/*", "bytes */20", "bytes 9-5/20", "bytes 5-20/20", "bytes 0-0/0",
            "items 0-1/2", "bytes 0-1/2/3", "bytes 0-1-2/3", "bytes -1-1/3",
            "bytes 0-9223372036854775808/9223372036854775809",
            "bytes 0-9223372036854775807/9223372036854775807", "bytes=0-1/2", "bytes 0-1/2 x",
        ]
    )
    func malformedContentRange(value: String) {
        #expect(ByteRange.parse(contentRange: value) == nil)
    }

    @Test("resolves within the content and parses its own text", arguments: 0..<500)
    func properties(seed: UInt64) throws {
        var arbitrary = Arbitrary(seed: seed)
        let limit = arbitrary.element(of: [3, 1000, Int.max - 1])
        let first = Int64(arbitrary.int(0...limit))
        let range: ByteRange =
            switch arbitrary.int(0...2) {
            case 0: .closed(first: first, last: Int64(arbitrary.int(Int(first)...limit)))
            case 1: .from(first)
            default: .suffix(first)
            }
        #expect(ByteRange.parse(header: range.headerValue) == .single(range))
        let size = Int64(arbitrary.int(0...limit))
        guard let resolved = range.resolved(size: size) else { return }
        #expect(!resolved.isEmpty)
        #expect(resolved.lowerBound >= 0 && resolved.upperBound <= size)
        let parsed = try #require(ByteRange.parse(contentRange: ByteRange.contentRange(resolved, size: size)))
        #expect(parsed.range == resolved)
        #expect(parsed.size == size)
    }

    @Test("accepts only consistent headers among random ones", arguments: 0..<2000)
    func hostile(seed: UInt64) {
        var arbitrary = Arbitrary(seed: seed)
        let text = arbitrary.hostileText(upTo: 140)
        if case .single(let range) = ByteRange.parse(header: "bytes=" + text) {
            #expect(ByteRange.parse(header: range.headerValue) == .single(range))
        }
        if let parsed = ByteRange.parse(contentRange: "bytes " + text) {
            #expect(parsed.range.upperBound <= parsed.size)
        }
    }
}
