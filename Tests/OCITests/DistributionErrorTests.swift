import FoundationEssentials
import OCI
import Testing

@Suite("DistributionError")
struct DistributionErrorTests {
    private struct Body: Decodable, Equatable {
        struct Item: Decodable, Equatable {
            var code: String
            var message: String
            var detail: String?
        }
        var errors: [Item]
    }

    private func decode(_ error: DistributionError) throws -> Body {
        try JSONDecoder().decode(Body.self, from: Data(error.json.utf8))
    }

    @Test("every code has a 4xx status and a body", arguments: DistributionError.Code.allCases)
    func codes(code: DistributionError.Code) throws {
        let error = DistributionError(code, "unknown blob")
        #expect((400..<500).contains(error.status))
        #expect(error.description == "\(code.rawValue): unknown blob")
        let body = Body(errors: [.init(code: code.rawValue, message: "unknown blob", detail: nil)])
        #expect(try decode(error) == body)
    }

    @Test("escapes quotes and control characters")
    func escapes() throws {
        let text = "\"quoted\" \\ / \n\r\t\u{0}\u{1}\u{1f}\u{7f}\u{2028} é 👩‍👩‍👧 \u{10FFFF}"
        let error = DistributionError(.denied, text, detail: text)
        let body = Body(errors: [.init(code: "DENIED", message: text, detail: text)])
        #expect(try decode(error) == body)
    }

    @Test("encodes random text", arguments: 0..<1000)
    func hostile(seed: UInt64) throws {
        var arbitrary = Arbitrary(seed: seed)
        let error = DistributionError(
            .nameInvalid,
            arbitrary.hostileText(upTo: 100),
            detail: arbitrary.hostileText(upTo: 100)
        )
        let item = try #require(try decode(error).errors.first)
        #expect(Array(item.message.utf8) == Array(error.message.utf8))
        #expect(item.detail.map { Array($0.utf8) } == error.detail.map { Array($0.utf8) })
    }
}
