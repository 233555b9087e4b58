import Glibc
import Logging
import Testing

@testable import spegel

struct TextLogHandlerTests {
    func line(_ message: Logger.Message, _ metadata: Logger.Metadata) -> String {
        let time = timespec(tv_sec: 1_700_000_000, tv_nsec: 5_000_000)
        return TextLogHandler.line(time: time, level: .info, message: message, metadata: metadata)
    }

    @Test func aLineHasTimeLevelMessageAndFieldsInOrder() {
        #expect(
            line("mirrored request", ["outcome": "complete", "bytes": "240"])
                == "2023-11-14T22:13:20.005Z info    mirrored request bytes=240 outcome=complete\n"
        )
    }

    @Test func whatPeersSayStaysWithinItsLineAndItsField() {
        let text = line("m\nn", ["a": "x y", "b": "q\"\n\u{1B}[31m", "c": ""])
        #expect(text.split(separator: "\n").count == 1)
        #expect(text.contains(#"a="x y""#))
        #expect(text.contains(#"b="q\"\u{a}\u{1b}[31m""#))
        #expect(text.contains(#"c="""#))
    }
}
