extension String {
  /// The text as a path of a URL: unreserved characters and `/` stay (RFC 3986 section 3.3).
  var percentEncodedPath: String {
    let digits = Array("0123456789ABCDEF".unicodeScalars)
    var encoded = String.UnicodeScalarView()
    for byte in utf8 {
      switch byte {
      case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
        UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "."), UInt8(ascii: "_"),
        UInt8(ascii: "~"), UInt8(ascii: "/"):
        encoded.append(Unicode.Scalar(byte))
      default:
        encoded.append("%")
        encoded.append(digits[Int(byte >> 4)])
        encoded.append(digits[Int(byte & 15)])
      }
    }
    return String(encoded)
  }
  /// The path of a URL with at most one slash at its start, because browsers read the text after two slashes as another host
  /// (RFC 3986 section 4.2).
  var withOneLeadingSlash: String {
    hasPrefix("//") ? "/" + drop { $0 == "/" } : self
  }
}
