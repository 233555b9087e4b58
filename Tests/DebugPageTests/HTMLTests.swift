import TestSupport
import Testing

@testable import DebugPage

struct HTMLTests {
    @Test func textAndValuesAreEscaped() {
        let element = HTML("a", ["href": "?x=\"><script>'&", "title": nil, "hidden": ""]) {
            "<b>&\u{0}\u{202E}é\n"
            HTML("br")
        }
        #expect(
            element.text
                == "<a href=\"?x=&quot;&gt;&lt;script&gt;&#39;&amp;\" hidden=\"\">"
                + "&lt;b&gt;&amp;\u{FFFD}\u{FFFD}é\n<br></a>"
        )
        #expect(HTML.document(HTML("p")) == "<!doctype html>\n<p></p>\n")
    }

    /// Whatever a text holds, the markup around it stays as it is.
    @Test func noTextEndsAnElement() {
        var random = SeededGenerator()
        let scalars: [Unicode.Scalar] = [
            "<", ">", "\"", "'", "&", "/", "a", "\u{0}", "\u{7F}", "\u{85}", "`", "=", " ", "-", "!",
        ]
        for _ in 0..<2000 {
            var text = ""
            for _ in 0..<Int.random(in: 0...20, using: &random) {
                text.unicodeScalars.append(scalars.randomElement(using: &random) ?? "<")
            }
            let markup = HTML("p", ["title": text]) { text }.text
            let kept = markup.unicodeScalars.filter { "<>\"".unicodeScalars.contains($0) }
            #expect(
                String(String.UnicodeScalarView(kept)) == "<\"\"><>",
                "seed \(random.seed), text \(text.debugDescription)"
            )
            #expect(!markup.contains("'"), "seed \(random.seed)")
        }
    }

    @Test(
        arguments: [
            (0, "0 B"), (999, "999 B"), (1000, "1 kB"), (1250, "1.3 kB"), (9960, "10 kB"), (999_499, "999 kB"),
            (999_500, "1 MB"), (12_345_678, "12.3 MB"), (5_000_000_000, "5 GB"), (Int.max, "9223 PB"), (-5, "0 B"),
        ]
    )
    func sizesAreShort(_ count: Int, _ expected: String) {
        #expect(Words.bytes(count) == expected)
    }

    @Test(
        arguments: [
            (Duration.zero, "0 ms"), (.microseconds(250), "0.25 ms"), (.microseconds(12_500), "12.5 ms"),
            (.milliseconds(999), "999 ms"), (.milliseconds(1500), "1.5 s"), (.seconds(99), "99 s"),
            (.seconds(125), "2 min"), (.seconds(3700), "1 h 1 min"), (.seconds(90_000), "1 d 1 h"),
        ]
    )
    func timesAreShort(_ duration: Duration, _ expected: String) {
        #expect(Words.time(duration) == expected)
    }

    @Test func otherWords() {
        #expect(Words.count(1_234_567) == "1,234,567")
        #expect(Words.count(-1000) == "-1,000")
        #expect(Words.count(1, "peer", "peers") == "1 peer")
        #expect(Words.count(0, "peer", "peers") == "0 peers")
        #expect(Words.key("sha256:" + String(repeating: "a", count: 64)) == "sha256:aaaaaaaaaaaa…")
        #expect(Words.key("docker.io/library/alpine:3") == "docker.io/library/alpine:3")
        #expect(Words.clock(1_700_000_000) == "22:13:20")
        #expect(Words.clock(.nan) == "")
        #expect(Words.rate(1_000_000, in: .milliseconds(500)) == "2 MB/s")
        #expect(Words.rate(1, in: .zero) == nil)
        #expect(Words.peer("12D3KooWABCDEFGHIJKLMNOP") == "12D3Ko…IJKLMNOP")
    }
}
