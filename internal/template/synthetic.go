package template

import (
	"crypto/sha256"
	"encoding/base32"
	"encoding/hex"
	"fmt"
	"strings"
)

// syntheticKinds says what Ref and Fn::GetAtt give for resources that are skipped. They have the form that AWS's values have,
// name nothing that exists, and stay the same as long as the stack and the logical id do.
//
// NAME is the name property of the resource (third column) if it has one that can be evaluated, else
// STACK-LOGICALID-XXXXXXXXXXXX. P, R, A are partition, region and account, ID is a hexadecimal id made from the name.
//
//	type                                 Ref                    name property          Fn::GetAtt
//	AWS::IAM::Role                       NAME                   RoleName               Arn arn:P:iam::A:role/NAME, RoleId
//	AWS::IAM::User                       NAME                   UserName               Arn arn:P:iam::A:user/NAME
//	AWS::IAM::Group                      NAME                   GroupName              Arn arn:P:iam::A:group/NAME
//	AWS::IAM::InstanceProfile            NAME                   InstanceProfileName    Arn arn:P:iam::A:instance-profile/NAME
//	AWS::IAM::ManagedPolicy              its ARN                ManagedPolicyName      PolicyArn arn:P:iam::A:policy/NAME
//	AWS::Lambda::Function                NAME                   FunctionName           Arn arn:P:lambda:R:A:function:NAME
//	AWS::SNS::Topic                      its ARN                TopicName              TopicArn arn:P:sns:R:A:NAME, TopicName
//	AWS::SQS::Queue                      https://sqs.R.…/A/NAME QueueName              Arn arn:P:sqs:R:A:NAME, QueueName, QueueUrl
//	AWS::KMS::Key                        ID as a UUID           –                      Arn arn:P:kms:R:A:key/ID, KeyId
//	AWS::KMS::Alias                      NAME                   AliasName              –
//	AWS::Logs::LogGroup                  NAME                   LogGroupName           Arn arn:P:logs:R:A:log-group:NAME:*
//	AWS::Events::Rule                    NAME                   Name                   Arn arn:P:events:R:A:rule/NAME
//	AWS::Events::EventBus                NAME                   Name                   Arn arn:P:events:R:A:event-bus/NAME, Name
//	AWS::StepFunctions::StateMachine     its ARN                StateMachineName       Arn arn:P:states:R:A:stateMachine:NAME, Name
//	AWS::SecretsManager::Secret          its ARN                Name                   Id arn:P:secretsmanager:R:A:secret:NAME
//	AWS::SSM::Parameter                  NAME                   Name                   –
//	AWS::DynamoDB::Table                 NAME                   TableName              Arn arn:P:dynamodb:R:A:table/NAME
//	AWS::Glue::Crawler                   NAME                   Name                   Arn arn:P:glue:R:A:crawler/NAME
//	AWS::Glue::Database                  NAME                   DatabaseInput.Name     Arn arn:P:glue:R:A:database/NAME
//	AWS::Glue::Connection                NAME                   ConnectionInput.Name   Arn arn:P:glue:R:A:connection/NAME
//	AWS::Glue::Table                     NAME                   TableInput.Name        Arn arn:P:glue:R:A:table/NAME
//	AWS::Glue::SecurityConfiguration     NAME                   Name                   –
//	AWS::EC2::VPC, Subnet, SecurityGroup vpc-, subnet-, sg-ID   –                      VpcId, SubnetId, GroupId
//	AWS::X::Y, anything else             NAME                   Name                   below
//
// An attribute that the table does not give is arn:P:x:R:A:y/NAME if it is Arn or ends in Arn (x and y from the type, in
// lower case), else NAME.ATTRIBUTE.
var syntheticKinds = map[string]synthetic{
	"AWS::IAM::Role":                   {name: "RoleName", arn: "arn:{P}:iam::{A}:role/{N}", attrs: map[string]string{"RoleId": "AROA{U}"}},
	"AWS::IAM::User":                   {name: "UserName", arn: "arn:{P}:iam::{A}:user/{N}"},
	"AWS::IAM::Group":                  {name: "GroupName", arn: "arn:{P}:iam::{A}:group/{N}"},
	"AWS::IAM::InstanceProfile":        {name: "InstanceProfileName", arn: "arn:{P}:iam::{A}:instance-profile/{N}"},
	"AWS::IAM::ManagedPolicy":          {name: "ManagedPolicyName", arn: "arn:{P}:iam::{A}:policy/{N}", ref: "{ARN}"},
	"AWS::Lambda::Function":            {name: "FunctionName", arn: "arn:{P}:lambda:{R}:{A}:function:{N}"},
	"AWS::SNS::Topic":                  {name: "TopicName", arn: "arn:{P}:sns:{R}:{A}:{N}", ref: "{ARN}", attrs: map[string]string{"TopicName": "{N}"}},
	"AWS::SQS::Queue":                  {name: "QueueName", arn: "arn:{P}:sqs:{R}:{A}:{N}", ref: queueURL, attrs: map[string]string{"QueueName": "{N}", "QueueUrl": queueURL}},
	"AWS::KMS::Key":                    {arn: "arn:{P}:kms:{R}:{A}:key/{UUID}", ref: "{UUID}", attrs: map[string]string{"KeyId": "{UUID}"}},
	"AWS::KMS::Alias":                  {name: "AliasName"},
	"AWS::Logs::LogGroup":              {name: "LogGroupName", arn: "arn:{P}:logs:{R}:{A}:log-group:{N}:*"},
	"AWS::Events::Rule":                {name: "Name", arn: "arn:{P}:events:{R}:{A}:rule/{N}"},
	"AWS::Events::EventBus":            {name: "Name", arn: "arn:{P}:events:{R}:{A}:event-bus/{N}", attrs: map[string]string{"Name": "{N}"}},
	"AWS::StepFunctions::StateMachine": {name: "StateMachineName", arn: "arn:{P}:states:{R}:{A}:stateMachine:{N}", ref: "{ARN}", attrs: map[string]string{"Name": "{N}"}},
	"AWS::SecretsManager::Secret":      {name: "Name", arn: secretARN, ref: "{ARN}", attrs: map[string]string{"Id": secretARN}},
	"AWS::SSM::Parameter":              {name: "Name"},
	"AWS::DynamoDB::Table":             {name: "TableName", arn: "arn:{P}:dynamodb:{R}:{A}:table/{N}"},
	"AWS::Glue::Database":              {name: "DatabaseInput.Name"},
	"AWS::Glue::Connection":            {name: "ConnectionInput.Name"},
	"AWS::Glue::Table":                 {name: "TableInput.Name"},
	"AWS::EC2::VPC":                    {name: "-", ref: "vpc-{X}", attrs: map[string]string{"VpcId": "vpc-{X}"}},
	"AWS::EC2::Subnet":                 {name: "-", ref: "subnet-{X}", attrs: map[string]string{"SubnetId": "subnet-{X}"}},
	"AWS::EC2::SecurityGroup":          {name: "-", ref: "sg-{X}", attrs: map[string]string{"GroupId": "sg-{X}", "Id": "sg-{X}"}},
}

const (
	queueURL  = "https://sqs.{R}.{S}/{A}/{N}"
	secretARN = "arn:{P}:secretsmanager:{R}:{A}:secret:{N}"
)

// synthetic is a row of the table. ref defaults to NAME, name to the property Name, arn to the fallback form.
type synthetic struct {
	name, arn, ref string
	attrs          map[string]string
}

// standin is what a skipped resource answers.
type standin struct {
	ref  string
	name string
	arn  string
	kind synthetic
	fill *strings.Replacer
}

func (ev *evaluator) newStandin(s *resolved, p *place) (*standin, error) {
	k := syntheticKinds[s.typ]
	name := ev.generatedName(s.id, s.typ)
	if k.name == "" {
		k.name = "Name"
	}
	given := s.props
	for part := range strings.SplitSeq(k.name, ".") {
		given, p = given.get(part), p.dot(part)
	}
	if given != nil {
		// A name that cannot be evaluated would matter only if the resource acted: the generated one serves.
		v, err := ev.value(given, p)
		if err == nil && v != nil && v.scalar() && !v.secret {
			name = v.text
		}
	}
	if k.arn == "" {
		service, kind := fallback(s.typ)
		k.arn = fmt.Sprintf("arn:{P}:%s:{R}:{A}:%s/{N}", service, kind)
	}
	sum := sha256.Sum256([]byte(name + "\x00" + ev.out.prev.ID + s.id))
	x := hex.EncodeToString(sum[:])
	st := &standin{name: name, kind: k, fill: strings.NewReplacer("{P}", ev.partition, "{R}", ev.region, "{A}", ev.account, "{N}", name,
		"{S}", urlSuffix(ev.partition), "{X}", x[:17], "{U}", base32.StdEncoding.EncodeToString(sum[:])[:17],
		"{UUID}", x[:8]+"-"+x[8:12]+"-4"+x[13:16]+"-8"+x[17:20]+"-"+x[20:32])}
	st.arn = st.fill.Replace(k.arn)
	switch k.ref {
	case "":
		st.ref = name
	case "{ARN}":
		st.ref = st.arn
	default:
		st.ref = st.fill.Replace(k.ref)
	}
	return st, nil
}

// fallback makes service and kind of AWS::Service::Kind; custom resources have only a kind.
func fallback(typ string) (service, kind string) {
	parts := strings.Split(strings.ToLower(typ), "::")
	if len(parts) < 3 {
		return "cloudformation", parts[len(parts)-1]
	}
	return parts[1], parts[2]
}

func (s *standin) attribute(attr string) string {
	if form, ok := s.kind.attrs[attr]; ok {
		return s.fill.Replace(form)
	}
	if strings.HasSuffix(attr, "Arn") {
		return s.arn
	}
	return s.name + "." + attr
}

// generatedName is CloudFormation's form STACK-LOGICALID-XXXXXXXXXXXX, cut to 255 characters; buckets get lower case and 63. The last part is
// not random but made from the stack's id and salt, so that evaluating twice gives the same name.
func (ev *evaluator) generatedName(id, salt string) string {
	const room = 255 - 13
	sum := sha256.Sum256([]byte(ev.out.prev.ID + "\x00" + id + "\x00" + salt))
	stem := ev.out.prev.Name + "-" + id
	return stem[:min(len(stem), room)] + "-" + base32.StdEncoding.EncodeToString(sum[:])[:12]
}

func bucketName(generated string) string {
	const room = 63 - 13
	stem, tail := generated[:len(generated)-13], generated[len(generated)-13:]
	return strings.ToLower(stem[:min(len(stem), room)] + tail)
}
