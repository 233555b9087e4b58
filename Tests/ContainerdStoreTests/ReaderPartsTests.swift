import Testing

@testable import ContainerdStore

@Suite struct ReaderPartsTests {
    @Test(arguments: [0..<0, 5..<6, 0..<1_048_576, 0..<1_048_577, 17..<5_000_000] as [Range<Int64>])
    func coversTheRangeInOrder(range: Range<Int64>) {
        let parts = ContainerdReader.Parts(range: range)
        var end = range.lowerBound
        while let part = parts.next() {
            #expect(part.lowerBound == end)
            #expect(!part.isEmpty && part.count <= ContainerdReader.chunkSize)
            end = part.upperBound
        }
        #expect(end == range.upperBound)
    }

    @Test func doesNotOverflowAtMaximumOffset() {
        let parts = ContainerdReader.Parts(range: (Int64.max - 10)..<Int64.max)
        #expect(parts.next() == (Int64.max - 10)..<Int64.max)
        #expect(parts.next() == nil)
    }

    @Test func returnsNoPartAfterAbandon() {
        let parts = ContainerdReader.Parts(range: 0..<10_000_000)
        #expect(parts.next() != nil)
        parts.abandon()
        #expect(parts.next() == nil)
    }
}
