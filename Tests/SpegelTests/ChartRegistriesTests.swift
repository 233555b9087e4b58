import ArgumentParser
import Files
import FoundationEssentials
import NodeConfiguration
import Testing

@testable import spegel

/// The chart refuses and accepts the same registries as the program: a test of the chart reads the same file.
struct ChartRegistriesTests {
    private struct Examples: Decodable {
        var accepted: [String]
        var refused: [String]
        var others: [String]
    }

    private func examples() throws -> Examples {
        let path =
            "\(#filePath)".split(separator: "/").dropLast(2).reduce("") { $0 + "/" + $1 }
            + "/Formation/chart/registries.json"
        let bytes = try #require(try Files.read(path, limit: 1 << 20))
        return try JSONDecoder().decode(Examples.self, from: Data(bytes))
    }

    @Test func programAcceptsWhatTheChartAccepts() throws {
        let examples = try examples()
        #expect(examples.accepted.count > 10 && examples.refused.count > 25)
        for text in examples.accepted {
            #expect(throws: Never.self, "\(text)") { try RegistryURL(text) }
            let names = try MirroredRegistries([text])
            #expect(names.urls.count == 1 && !names.includesOthers)
        }
        for text in examples.refused {
            #expect(throws: RegistryURL.ParseError.self, "\(text)") { try RegistryURL(text) }
        }
        let all = try MirroredRegistries(["https://docker.io"] + examples.others)
        #expect(all.urls.count == 1 && all.includesOthers)
    }
}
