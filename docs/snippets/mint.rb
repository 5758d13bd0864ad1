# Prints a customer context: ruby mint.rb cus_ada [ada@example.com]
require "base64"
require "json"
require "openssl"
require "securerandom"

def b64(data) = Base64.urlsafe_encode64(data, padding: false)

now = Time.now.to_i
claims = {
  iss: "https://shop.example.com", # identity.context.issuer
  aud: "frontdesk",
  sub: ARGV.fetch(0), # the customer who has signed in
  lvl: "verified",
  cid: SecureRandom.uuid, # the conversation
  iat: now,
  exp: now + 900
}
claims.merge!(email: ARGV[1], email_verified: true) if ARGV[1]

key_file = ENV["CONTEXT_KEY"]
header = { typ: "cctx+jwt", alg: key_file ? "EdDSA" : "HS256" }
signed = "#{b64(header.to_json)}.#{b64(claims.to_json)}"
signature =
  if key_file
    OpenSSL::PKey.read(File.read(key_file)).sign(nil, signed)
  else
    OpenSSL::HMAC.digest("SHA256", ENV.fetch("CONTEXT_SECRET"), signed)
  end
puts "#{signed}.#{b64(signature)}"
