/// An error for a store whose content is gone: nothing can be served from it until it is back. Other errors mean that
/// a store does not answer, although its content may still be there.
public protocol LostContent: Error {}
