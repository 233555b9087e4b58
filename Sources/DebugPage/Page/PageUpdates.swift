import DebugAPI

/// The sections that one reader of the page has, so that an event holds only those that changed.
package struct PageUpdates: Sendable {
    private var sent: [String: HTML] = [:]

    /// A reader without any section.
    package init() {}

    /// The markup of the sections that changed, by the ids of their elements.
    package mutating func changes(_ status: NodeStatus) -> [String: String] {
        var changed: [String: String] = [:]
        for section in StatusPage.sections(status) where sent[section.id] != section.content {
            sent[section.id] = section.content
            changed[section.id] = section.content.text
        }
        return changed
    }
}
