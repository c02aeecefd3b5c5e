/// The methods that HTTP knows (RFC 9110 section 9.1, and the IANA registry of methods); those that the HTTP service's parser knows,
/// so that a path has the same ones wherever it is served.
enum HTTPMethods {
  static let known: Set<String> = [
    "GET", "POST", "HEAD", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH", "ACL", "BIND", "CHECKOUT",
    "COPY", "LINK", "LOCK", "M-SEARCH", "MERGE", "MKACTIVITY", "MKCALENDAR", "MKCOL", "MOVE", "NOTIFY",
    "PROPFIND", "PROPPATCH", "PURGE", "REBIND", "REPORT", "SEARCH", "SOURCE", "SUBSCRIBE", "UNBIND",
    "UNLINK", "UNLOCK", "UNSUBSCRIBE",
  ]
}
