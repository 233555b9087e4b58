import ArgumentParser
import OCI

/// An image as a person names it: Docker Hub may be left out, and the tag `latest`.
struct ImageArgument: ExpressibleByArgument, Hashable, CustomStringConvertible {
    let reference: Reference

    init?(argument: String) {
        var name = argument[...]
        // As Docker has it: what stands before the first slash is a registry only when it looks like a host.
        let first = name.prefix { $0 != "/" }
        let isHost =
            first.endIndex != name.endIndex && (first.contains(".") || first.contains(":") || first == "localhost")
        if !isHost {
            let isBare = first.endIndex == name.endIndex
            name = "docker.io/" + (isBare ? "library/" : "") + name
        }
        let path = name.prefix { $0 != "@" }
        let last = path.split(separator: "/", omittingEmptySubsequences: false).last ?? ""
        if path.endIndex == name.endIndex, !last.contains(":") { name += ":latest" }
        guard let reference = try? Reference(name) else { return nil }
        self.reference = reference
    }

    var description: String { "\(reference)" }
}

extension Platform: ExpressibleByArgument {
    init?(argument: String) { self.init(argument) }
}
