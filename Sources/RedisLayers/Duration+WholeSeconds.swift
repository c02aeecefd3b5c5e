extension Duration {
  var wholeSeconds: Int { Int(components.seconds) }
}
