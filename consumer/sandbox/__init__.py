"""Code that meets hostile data (a page, an answer) runs in a child: bounded, with no secrets, and it dies alone.

Use `consumer.sandbox.sandbox`; nothing is imported here, since the child passes by.
"""
