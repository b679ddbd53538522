// Package template turns a CloudFormation template – YAML, JSON, or what `cdk synth` writes – into a stack of
// Glue and S3 calls, and keeps the stack through later applies. It guarantees that reading a template is bounded in
// time and memory and never panics, that every refusal names file, line and path, that the same template over the same
// state plans nothing, that an interrupted apply converges when it is repeated, that nothing is changed that the
// stack did not create, and that values of NoEcho parameters reach no state, output or error text.
//
// The way through it: [Load] reads and checks the shape; [Template.Evaluate] resolves parameters, conditions and
// intrinsic functions to SDK inputs in dependency order; [Evaluated.Plan] compares them with the stored [State]; and
// [Plan.Apply] performs the calls one by one, handing the state to the caller before and after each.
//
// What acts: AWS::Glue::Workflow, AWS::Glue::Trigger, AWS::Glue::Job and AWS::S3::Bucket (its name only). Every other
// type is skipped and reported; Ref and Fn::GetAtt of it give the synthetic values listed at syntheticKinds.
//
// What it does not do: it runs no macro or transform (AWS::LanguageExtensions is accepted for Fn::Length and
// Fn::ToJsonString), imports no values of other stacks, evaluates no Rules, resolves no SSM or Secrets Manager
// references, detects no drift, keeps no parameter values from one apply to the next, and does not roll back: after a
// failure the stack stays where it came to, and the next apply goes on from there. It reads no clock, no environment
// and no randomness: the caller gives the stack's id.
package template
