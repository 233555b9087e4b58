import FoundationEssentials
import Glibc
import Logging
import Synchronization
import TestSupport
import Testing

@testable import Monitoring

struct LogLineTests {
    let time = timespec(tv_sec: 1_700_000_000, tv_nsec: 5_000_000)

    func text(_ message: Logger.Message, _ metadata: Logger.Metadata) -> String {
        TextLogLine.make(time: time, level: .info, message: message, metadata: metadata).text
    }

    func json(_ message: Logger.Message, _ metadata: Logger.Metadata, _ level: Logger.Level = .info) -> String {
        JSONLogLine.make(time: time, level: level, message: message, metadata: metadata).text
    }

    @Test func aLineOfTextHasTimeLevelMessageAndFieldsInOrder() {
        #expect(
            text("mirrored request", ["outcome": "complete", "bytes": "240"])
                == "2023-11-14T22:13:20.005Z info    mirrored request bytes=240 outcome=complete\n"
        )
    }

    @Test func textOfPeersStaysWithinItsField() {
        let text = text("m\nn", ["a": "x y", "b": "q\"\n\u{1B}[31m", "c": ""])
        #expect(text.split(separator: "\n").count == 1)
        #expect(text.contains(#"a="x y""#))
        #expect(text.contains(#"b="q\"\u{a}\u{1b}[31m""#))
        #expect(text.contains(#"c="""#))
    }

    @Test func aLineOfJSONIsAnObject() {
        let metadata: Logger.Metadata = [
            "outcome": "complete", "bytes": .stringConvertible(Int64(240)), "ok": .stringConvertible(true),
            "list": ["a", ["b": .stringConvertible(0.5)]], "level": "mine", "level_": "mine too",
        ]
        #expect(
            json("mirrored \"request\"", metadata, .warning)
                == #"{"time":"2023-11-14T22:13:20.005Z","level":"WARN","msg":"mirrored \"request\"","#
                + #""bytes":240,"level_":"mine too","list":["a",{"b":0.5}],"ok":true,"outcome":"complete","level__":"mine"}"#
                + "\n"
        )
    }

    @Test func randomTextIsReadBackAsItWas() throws {
        struct Line: Decodable {
            var time: String
            var level: String
            var msg: String
            var key: String
        }
        var generator = SeededGenerator()
        let seed = generator.seed
        for _ in 0..<500 {
            func randomText() -> String {
                var text = String.UnicodeScalarView()
                for _ in 0..<Int.random(in: 0...20, using: &generator) {
                    let limit: UInt32 = Bool.random(using: &generator) ? 0xA0 : 0x11_0000
                    if let scalar = Unicode.Scalar(UInt32.random(in: 0..<limit, using: &generator)) {
                        text.append(scalar)
                    }
                }
                return String(text)
            }
            let message = randomText()
            let value = randomText()
            let line = json("\(message)", ["key": "\(value)"])
            #expect(Array(line.unicodeScalars.filter { $0.value < 0x20 || $0.value == 0x7F }) == ["\n"], "seed \(seed)")
            let read = try JSONDecoder().decode(Line.self, from: Data(line.utf8))
            #expect(Array(read.msg.unicodeScalars) == Array(message.unicodeScalars), "seed \(seed)")
            #expect(Array(read.key.unicodeScalars) == Array(value.unicodeScalars), "seed \(seed)")
        }
    }

    @Test func numbersThatJSONCannotWriteAreNull() {
        let numbers = [Double.nan, .infinity, 1].map { Logger.MetadataValue.stringConvertible($0) }
        #expect(json("m", ["key": .array(numbers)]).hasSuffix(#""key":[null,null,1.0]}"# + "\n"))
    }

    @Test func warningsAreSummarisedAndEventsAreNot() {
        let lines = Mutex<[String]>([])
        let output = LogOutput(format: .text) { line in lines.withLock { $0.append(line) } }
        let logger = output.logger(label: "x", level: .info)
        for _ in 0..<5 {
            logger.warning("it fails", metadata: ["reason": "x"])
            logger.info("an event")
            logger.debug("not told")
        }
        output.flush()
        output.flush()
        let messages = lines.withLock { $0 }.map { $0.split(separator: " ", maxSplits: 1).last ?? "" }
        #expect(messages.filter { $0.contains("an event") }.count == 5)
        #expect(messages.filter { $0.contains("it fails reason=x") }.count == 1)
        #expect(messages.filter { $0.contains("it fails: suppressed 4 similar in") }.count == 1)
        #expect(messages.count == 7)
    }
}
