import OCI

/// Something that a ``ContentBook`` learns of content.
package enum ContentEvent: Hashable, Sendable {
    /// A manifest of a registry, whose digest matched, names content, or is content.
    case named([Descriptor], registry: RegistryName?)
    /// A client got 404 for some content, or for its part from this byte on.
    case missed(Digest, from: Int64, registry: String)
    /// Another node gave some content to a client, from this byte to the end.
    case delivered(Digest, from: Int64)
}
