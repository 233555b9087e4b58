import OCI
import Testing

@testable import Registry

/// `If-None-Match`, as RFC 9110, section 13.1.2, has it.
struct EntityTagConditionTests {
    private static let digest = "sha256:" + String(repeating: "a", count: 64)

    @Test(
        arguments: [
            (["*"], true), ([" * "], true), (["\"D\""], true), (["W/\"D\""], true), (["\"x\", \"D\""], true),
            (["\"x\"", "W/\"D\""], true), ([",, \"D\" ,"], true), (["\"a,b\",\"D\""], true), (["\"\", \"D\""], true),
            (["\"x\""], false), (["\"D"], false), (["D"], false), (["\"D\" \"D\""], false), ([""], false), ([], false),
            (["w/\"D\""], false), (["*, \"x\""], false), (["\"x\"", "*"], false), (["\"DD\""], false),
        ] as [([String], Bool)]
    )
    func parsesAsSpecified(_ values: [String], _ matches: Bool) throws {
        let digest = try Digest(Self.digest)
        let condition = EntityTagCondition(values.map { $0.replacing("D", with: Self.digest) })
        #expect((condition?.matches(digest) ?? false) == matches)
    }

    @Test func sizeIsBounded() {
        let many = [String](repeating: "\"x\"", count: EntityTagCondition.maximumTags)
        #expect(EntityTagCondition([many.joined(separator: ",")]) != nil)
        #expect(EntityTagCondition([(many + ["\"x\""]).joined(separator: ",")]) == nil)
        #expect(EntityTagCondition(many + ["\"x\""]) == nil)
    }
}
