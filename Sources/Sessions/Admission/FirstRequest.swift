package import WebSocketCore

/// A plain request of HTTP, the first one of a connection, on its way from where its head was read.
package struct FirstRequest {
  package var head: RequestHead
  /// Where it leads among the HTTP routes of `routes`; nil where no route matches.
  package var place: HTTPPlace?
  package var routes: ServedRoutes
  /// All bytes that were read. They begin with the head.
  package var bytes: [UInt8]
  /// Of the head. Bytes.
  package var length: Int
}
