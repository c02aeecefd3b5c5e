import CYAML

/// What stands open in a text at the place where its parser gave up.
///
/// The parser says where it could not go on. What is wrong then is often further up: a bracket without its end, or a quote that took
/// the next one, lines below, for its end.
struct OpenTokens {
  /// A bracket that is not closed before the place. Its place in the text, in characters.
  struct Bracket {
    var place: Int
    /// `[` or `{`.
    var character: Character

    var close: Character { character == "[" ? "]" : "}" }
  }

  /// A text in quotes.
  struct Quoted {
    /// In characters, with its quotes.
    var range: Range<Int>
    var isOfOneLine: Bool
    var isSingle: Bool
  }

  /// The innermost comes last.
  private(set) var brackets: [Bracket] = []
  /// The last one that ends before the place, or at it.
  private(set) var quoted: Quoted?
  /// The last one of several lines.
  private(set) var quotedOfLines: Quoted?

  /// Reads the text's tokens once more.
  ///
  /// - Parameter end: the place, in characters.
  init(_ bytes: [UInt8], before end: Int) {
    unsafe withYAMLParser(of: bytes) { parser in
      var isOver = false
      while !isOver {
        var token = unsafe yaml_token_t()
        guard unsafe yaml_parser_scan(&parser, &token) != 0 else { return }
        defer { unsafe yaml_token_delete(&token) }
        isOver = unsafe token.type == YAML_STREAM_END_TOKEN || Int(token.start_mark.index) >= end
        if !isOver { unsafe take(token) }
      }
    }
  }

  private mutating func take(_ token: yaml_token_t) {
    let start = unsafe Int(token.start_mark.index)
    switch unsafe token.type {
    case YAML_FLOW_SEQUENCE_START_TOKEN: brackets.append(Bracket(place: start, character: "["))
    case YAML_FLOW_MAPPING_START_TOKEN: brackets.append(Bracket(place: start, character: "{"))
    case YAML_FLOW_SEQUENCE_END_TOKEN, YAML_FLOW_MAPPING_END_TOKEN: _ = brackets.popLast()
    case YAML_SCALAR_TOKEN:
      let style = unsafe token.data.scalar.style
      guard style == YAML_SINGLE_QUOTED_SCALAR_STYLE || style == YAML_DOUBLE_QUOTED_SCALAR_STYLE else {
        return
      }
      unsafe quoted = Quoted(
        range: start..<Int(token.end_mark.index),
        isOfOneLine: token.start_mark.line == token.end_mark.line,
        isSingle: style == YAML_SINGLE_QUOTED_SCALAR_STYLE)
      if let quoted, !quoted.isOfOneLine { quotedOfLines = quoted }
    default: break
    }
  }
}
