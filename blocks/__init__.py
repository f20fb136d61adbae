"""What lies outside and is configured: teachers, artifact store, budget and journal, llama.cpp, the rehearsal world."""
