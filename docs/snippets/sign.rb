# Signs a webhook and posts it: ruby sign.rb body.json http://127.0.0.1:8080/webhooks/escalation
require "net/http"
require "openssl"

file, url = ARGV
body = File.binread(file) # the bytes that are signed are the bytes that are sent
signature = OpenSSL::HMAC.hexdigest("SHA256", ENV.fetch("WEBHOOK_SECRET"), body)
headers = { "Content-Type" => "application/json", "x-webhook-signature" => signature }
response = Net::HTTP.post(URI(url), body, headers)
puts "#{response.code} #{response.body}"
