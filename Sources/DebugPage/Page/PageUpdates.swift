public import Monitoring

/// What one reader of the page has seen of its sections, so that only what has changed is sent.
public struct PageUpdates: Sendable {
    private var seen: [String: HTML] = [:]

    /// A reader who has seen nothing.
    public init() {}

    /// The sections that have changed by their ids, as an object of JSON; `nil` when none has.
    public mutating func changes(_ status: NodeStatus) -> JSON? {
        var changed: [(String, JSON)] = []
        for section in StatusPage.sections(status) where seen[section.id] != section.content {
            seen[section.id] = section.content
            changed.append((section.id, .string(section.content.text)))
        }
        return changed.isEmpty ? nil : .object(changed)
    }
}
