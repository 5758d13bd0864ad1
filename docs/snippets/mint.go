// Prints a customer context: go run mint.go cus_ada [ada@example.com]
package main

import (
	"crypto/ed25519"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"log"
	"os"
	"time"
)

func part(value any) string {
	text, err := json.Marshal(value)
	if err != nil {
		log.Fatal(err)
	}
	return base64.RawURLEncoding.EncodeToString(text)
}

func main() {
	conversation := make([]byte, 16)
	if _, err := rand.Read(conversation); err != nil {
		log.Fatal(err)
	}
	now := time.Now().Unix()
	claims := map[string]any{
		"iss": "https://shop.example.com", // identity.context.issuer
		"aud": "frontdesk",
		"sub": os.Args[1], // the customer who has signed in
		"lvl": "verified",
		"cid": hex.EncodeToString(conversation), // the conversation
		"iat": now,
		"exp": now + 900,
	}
	if len(os.Args) > 2 {
		claims["email"], claims["email_verified"] = os.Args[2], true
	}

	algorithm, keyFile := "HS256", os.Getenv("CONTEXT_KEY")
	if keyFile != "" {
		algorithm = "EdDSA"
	}
	signed := part(map[string]string{"typ": "cctx+jwt", "alg": algorithm}) + "." + part(claims)
	var signature []byte
	if keyFile != "" {
		signature = ed25519.Sign(privateKey(keyFile), []byte(signed))
	} else {
		mac := hmac.New(sha256.New, []byte(os.Getenv("CONTEXT_SECRET")))
		mac.Write([]byte(signed))
		signature = mac.Sum(nil)
	}
	fmt.Println(signed + "." + base64.RawURLEncoding.EncodeToString(signature))
}

func privateKey(file string) ed25519.PrivateKey {
	text, err := os.ReadFile(file)
	if err != nil {
		log.Fatal(err)
	}
	block, _ := pem.Decode(text)
	if block == nil {
		log.Fatal("there is no PEM in ", file)
	}
	key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		log.Fatal(err)
	}
	return key.(ed25519.PrivateKey)
}
