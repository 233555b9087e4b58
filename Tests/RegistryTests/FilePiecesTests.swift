import TestSupport
import Testing

@testable import Registry

/// Which piece of a file goes next, without a file or a socket.
struct FilePiecesTests {
    private static let piece = FilePieces.pieceSize
    private static let tail = FilePieces.tailSize

    @Test func piecesCoverPartInOrder() {
        var pieces = FilePieces(5..<(2 * Self.piece + 9), holdsTail: false)
        #expect(pieces.next() == 5..<(Self.piece + 5))
        #expect(pieces.hasNext && !pieces.isDone)
        #expect(pieces.next() == (Self.piece + 5)..<(2 * Self.piece + 5))
        #expect(pieces.next() == (2 * Self.piece + 5)..<(2 * Self.piece + 9))
        #expect(pieces.isDone && !pieces.hasNext && pieces.next() == nil)
    }

    @Test func tailWaitsForCheck() {
        let end = Self.piece + Self.tail
        var pieces = FilePieces(0..<end, holdsTail: true)
        #expect(pieces.next() == 0..<Self.piece)
        #expect(pieces.isHolding && !pieces.isDone && pieces.next() == nil)
        let isReleased1 = pieces.releaseTail()
        #expect(isReleased1)
        #expect(pieces.next() == Self.piece..<end)
        #expect(pieces.isDone && !pieces.releaseTail() && pieces.next() == nil)
    }

    /// The piece before is still under way then, and what follows goes on by itself.
    @Test func earlyReleasedTailFollowsAtOnce() {
        let end = 2 * Self.piece
        var pieces = FilePieces(0..<end, holdsTail: true)
        #expect(pieces.next() == 0..<Self.piece)
        let isReleased2 = pieces.releaseTail()
        #expect(!isReleased2 && pieces.hasNext)
        #expect(pieces.next() == Self.piece..<end)
        #expect(pieces.isDone)
    }

    @Test func shortPartIsNotHeld() {
        var pieces = FilePieces(7..<(Self.tail + 7), holdsTail: true)
        #expect(pieces.next() == 7..<(Self.tail + 7) && pieces.isDone)
        #expect(FilePieces(3..<3, holdsTail: true).isDone)
    }

    /// However late the check ends, each byte is sent once and in order, and the tail never before.
    @Test func eachByteIsSentOnce() {
        var random = SeededGenerator()
        for _ in 0..<2000 {
            let start = Int64.random(in: 0...9, using: &random)
            let part = start..<(start + Int64.random(in: 0...(4 * Self.piece), using: &random))
            let holdsTail = Bool.random(using: &random)
            var pieces = FilePieces(part, holdsTail: holdsTail)
            let isHeld = holdsTail && part.upperBound - Self.tail > part.lowerBound
            var isReleased = false
            var position = part.lowerBound
            while !pieces.isDone {
                if !isReleased, Int.random(in: 0..<4, using: &random) == 0 || pieces.isHolding {
                    let wasHolding = pieces.isHolding
                    let isReleased3 = pieces.releaseTail()
                    #expect(isReleased3 == wasHolding, "seed \(random.seed)")
                    isReleased = true
                }
                guard let piece = pieces.next() else { continue }
                #expect(piece.lowerBound == position && !piece.isEmpty, "seed \(random.seed)")
                #expect(piece.upperBound - piece.lowerBound <= Self.piece, "seed \(random.seed)")
                let limit = isHeld && !isReleased ? part.upperBound - Self.tail : part.upperBound
                #expect(piece.upperBound <= limit, "seed \(random.seed)")
                position = piece.upperBound
            }
            #expect(position == part.upperBound, "seed \(random.seed)")
        }
    }
}
