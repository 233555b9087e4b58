import OCI
import Synchronization

/// The display of a pull: bars on a terminal, else a line for each piece of content; none for programs.
final class PullDisplay: Sendable {
    private struct State {
        var board = PullBoard()
        var drawn = 0
        var last: ContinuousClock.Instant?
    }

    private let state = Mutex(State())
    private let isShown: Bool
    private let hasBars: Bool
    private let start = ContinuousClock.now

    /// The time between two drawings of the bars.
    private static let interval = Duration.milliseconds(100)

    init(isShown: Bool, hasBars: Bool) {
        self.isShown = isShown
        self.hasBars = isShown && hasBars
    }

    func announce(_ size: Int64) {
        state.withLock { $0.board.announce(size) }
    }

    func begin(_ kind: String, _ digest: Digest, size: Int64) {
        state.withLock { state in
            state.board.begin(PullBoard.Entry(kind: kind, digest: digest, size: size))
            draw(&state, isForced: true)
        }
    }

    func advance(_ digest: Digest, to received: Int64, source: String?) {
        state.withLock { state in
            state.board.advance(digest, to: received, source: source)
            draw(&state)
        }
    }

    /// Ends a piece and prints its line, which stays.
    func end(_ digest: Digest, size: Int64, line: String) {
        state.withLock { state in
            state.board.end(digest, size: size)
            guard isShown else { return }
            erase(&state)
            Terminal.write(line + "\n")
            draw(&state, isForced: true)
        }
    }

    /// Removes the bars.
    func finish() {
        state.withLock { erase(&$0) }
    }

    private func draw(_ state: inout State, isForced: Bool = false) {
        guard hasBars else { return }
        let now = ContinuousClock.now
        if !isForced, let last = state.last, now - last < Self.interval { return }
        state.last = now
        let lines = state.board.bars(width: Terminal.width - 1, elapsed: now - start)
        let up = state.drawn > 0 ? "\u{1B}[\(state.drawn)A\u{1B}[J" : ""
        Terminal.write(up + lines.map { $0 + "\n" }.joined())
        state.drawn = lines.count
    }

    private func erase(_ state: inout State) {
        guard state.drawn > 0 else { return }
        Terminal.write("\u{1B}[\(state.drawn)A\u{1B}[J")
        state.drawn = 0
    }
}
